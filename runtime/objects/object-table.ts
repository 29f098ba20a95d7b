import { requestControl } from '../calls/control.ts';
import { type CallPath, packHandles, unpackHandles } from '../calls/handle.ts';
import { type ClockTimer, repeat } from '../clock.ts';
import { abortSignal, checkGiven, type OptionSchemas, optional, timeout } from '../option-check.ts';
import { subjects } from '../wire/address.ts';
import { offerChunks } from '../wire/chunks.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';
import type {
  ObjectAddress,
  ObjectLeasesMessage,
  TravellingAddress,
} from '../wire/object-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import { ObjectReader, type ObjectReaderOptions, within } from './object-reader.ts';
import {
  createRef,
  INLINE_BYTES_MAX,
  type ObjectRef,
  openRef,
  type ReferenceKeeper,
} from './object-ref.ts';
import type { ObjectStore } from './object-store.ts';

/** A process that is silent for four renewals has no references any more. */
export const LEASE_MS = 20_000;
const RENEW_MS = 5_000;
/** Ids in one message of a renewal. */
const RENEWED_MAX = 4_096;
/** Larger values are fetched by the store, piece by piece. */
const SENT_WHOLE_BYTES_MAX = 64 << 10;
const OBJECT_TIMEOUT_MS = 60_000;
/** What was told on one way may be behind what was told on another by so much. */
const ARRIVAL_GRACE_MS = 10_000;
/** References in one value. */
const INNER_MAX = 4_096;

export interface ObjectOptions {
  /** From now to the value. Default a minute. */
  readonly timeoutMs?: number;
  /** Aborting rejects at once. */
  readonly signal?: AbortSignal;
}

export interface ObjectTableOptions extends ObjectReaderOptions {
  /** How stores know this process. */
  readonly holder: string;
}

const optionSchemas = {
  timeoutMs: optional(timeout),
  signal: optional(abortSignal),
} satisfies OptionSchemas & Record<keyof ObjectOptions, unknown>;

interface Counted {
  readonly address: ObjectAddress;
  references: number;
}

/** The references of one process: counted here, held under a lease at the nodes of their objects. */
export class ObjectTable implements ReferenceKeeper {
  readonly #options: ObjectTableOptions;
  readonly #reader: ObjectReader;
  readonly #counted = new Map<string, Counted>();
  /** What objects that are gone referred to, on other nodes. */
  #dropping: { readonly counted: Counted; readonly droppedAt: number }[] = [];
  /** Only while there are references. */
  #renewing: ClockTimer | undefined;
  #lastTicket = 0;
  /** Words of new holders that their nodes have not confirmed yet. */
  readonly #telling = new Set<Promise<void>>();

  constructor(options: ObjectTableOptions) {
    this.#options = options;
    this.#reader = new ObjectReader(options);
  }

  /**
   * Hands the value to this process's node.
   * @param scope gets what releases the reference, for an end that comes before its own
   * @throws TypeError or RangeError for what a frame can't carry, ObjectStoreFullError,
   * DeadlineError, the signal's reason.
   */
  async put<Value>(
    value: Value,
    options: ObjectOptions = {},
    scope?: Set<() => void>,
  ): Promise<ObjectRef<Value>> {
    checkGiven('object option', optionSchemas, options);
    const { timeoutMs = OBJECT_TIMEOUT_MS, signal } = options;
    signal?.throwIfAborted();
    const addresses: TravellingAddress[] = [];
    const departure = { forMs: timeoutMs + ARRIVAL_GRACE_MS, addresses };
    const encoded = encodeFrame(packHandles(value, departure));
    if (addresses.length > INNER_MAX) {
      throw new RangeError(
        `a value with ${addresses.length} object references; ${INNER_MAX} are the most`,
      );
    }
    // A small one lies in a buffer that is shared with others.
    const frame = encoded.length <= INLINE_BYTES_MAX ? new Uint8Array(encoded) : encoded;
    const { store } = this.#options;
    const address = await (store
      ? this.#keepHere(store, frame, addresses, options)
      : this.#send(frame, addresses, options));
    const small = frame.length <= INLINE_BYTES_MAX;
    return this.#refer(address, small ? frame : undefined, scope) as ObjectRef<Value>;
  }

  /**
   * The value, of the caller's own: typed arrays are views into bytes that nobody else has.
   * @throws TypeError or RangeError for an option that can't be used; ObjectLostError, DamagedDataError,
   * DeadlineError, the signal's reason.
   */
  async get<Value>(
    ref: ObjectRef<Value>,
    options: ObjectOptions = {},
    path: CallPath,
  ): Promise<Value> {
    checkGiven('object option', optionSchemas, options);
    const { timeoutMs = OBJECT_TIMEOUT_MS, signal } = options;
    signal?.throwIfAborted();
    const { address, frame: inline } = openRef(ref);
    if (inline !== undefined) return unpackHandles(decodeFrame(inline.slice()), path) as Value;
    // Stays counted while it is read, whatever happens to the reference meanwhile.
    const release = this.retain([address]);
    try {
      const limits = { timeoutMs, ...(signal && { signal }) };
      const { clock } = this.#options.endpoint;
      const read = this.#reader.read(address, limits);
      const frame = await within(read, clock, limits, `reading object ${address.id}`);
      signal?.throwIfAborted();
      return unpackHandles(decodeFrame(frame), path) as Value;
    } finally {
      release();
    }
  }

  /** As this, but what arrives is also released by what is in `scope` then. */
  scoped(scope: Set<() => void>): ReferenceKeeper {
    return {
      depart: (address, forMs) => this.depart(address, forMs),
      arrive: (address, ticket, frame) => this.arrive(address, ticket, frame, scope),
      retain: (addresses) => this.retain(addresses),
    };
  }

  depart(address: ObjectAddress, forMs: number): string {
    const { id } = address;
    this.#lastTicket += 1;
    const ticket = `${this.#options.holder}/${this.#lastTicket}`;
    const word = { holder: ticket, leaseMs: forMs, hold: [id], release: [] };
    this.#tellSurely(address, word, forMs);
    return ticket;
  }

  arrive(
    address: ObjectAddress,
    ticket: string,
    frame?: Uint8Array,
    scope?: Set<() => void>,
  ): ObjectRef<unknown> {
    const ref = this.#refer(address, frame, scope);
    this.#takeOver(address, ticket);
    return ref;
  }

  /**
   * Holds what an object of this node refers to, until the result is called. Objects of other nodes stay
   * a little longer: whoever got the outer one last may hold them from then on, and have told so on
   * another way.
   */
  hold(inner: readonly TravellingAddress[]): () => void {
    const held = inner.map(({ ticket, ...address }) => {
      const counted = this.#keep(address);
      this.#takeOver(address, ticket);
      return counted;
    });
    return () => {
      const { endpoint, store } = this.#options;
      const droppedAt = endpoint.clock.now() + ARRIVAL_GRACE_MS;
      for (const counted of held) {
        if (counted.address.node === store?.nodeId) this.#drop(counted);
        else this.#dropping.push({ counted, droppedAt });
      }
    };
  }

  retain(addresses: readonly ObjectAddress[]): () => void {
    const retained = addresses.map((address) => this.#keep(address));
    return () => {
      for (const counted of retained) this.#drop(counted);
    };
  }

  /** Resolves when all that arrived so far is held here instead of by its message: before the process ends. */
  async settled(): Promise<void> {
    await Promise.all(this.#telling);
  }

  get reader(): ObjectReader {
    return this.#reader;
  }

  close(): void {
    this.#counted.clear();
    this.#dropping = [];
    this.#stopRenewing();
  }

  /** In this order: without a holder the object would be freed. */
  #takeOver(address: ObjectAddress, ticket: string): void {
    const { node, id } = address;
    this.#tellSurely(address, this.#lease([id], []), LEASE_MS, () => {
      this.#tell(node, { holder: ticket, leaseMs: 0, hold: [], release: [id] });
    });
  }

  /**
   * Says that somebody holds an object, again until its node has heard it: meanwhile this process holds
   * it too, and says nothing that could take its last holder away. `then` runs when it was heard.
   */
  #tellSurely(
    address: ObjectAddress,
    word: LeaseChange,
    timeoutMs: number,
    then?: () => void,
  ): void {
    const { store, endpoint } = this.#options;
    const { node } = address;
    if (node === store?.nodeId) {
      this.#tell(node, word);
      then?.();
      return;
    }
    const release = this.retain([address]);
    const parcel = { bytes: encodeMessage({ kind: 'object-leases', ...word }) };
    const subject = subjects.objects(endpoint.namespace, node);
    const telling = requestControl(endpoint, subject, 'done', parcel, { timeoutMs })
      .then(then)
      // A node that is gone has no objects any more; from one that is only silent, leases run out.
      .catch(() => {})
      .finally(() => {
        this.#telling.delete(telling);
        release();
      });
    this.#telling.add(telling);
  }

  #refer(
    address: ObjectAddress,
    frame: Uint8Array | undefined,
    scope: Set<() => void> | undefined,
  ): ObjectRef<unknown> {
    const counted = this.#keep(address);
    const onRelease = (): void => this.#drop(counted);
    return createRef({ address, keeper: this, frame, onRelease, scope });
  }

  #keep(address: ObjectAddress): Counted {
    const counted = this.#counted.get(address.id) ?? { address, references: 0 };
    counted.references += 1;
    this.#counted.set(address.id, counted);
    this.#renewing ??= repeat(this.#options.endpoint.clock, RENEW_MS, () => this.#renew());
    return counted;
  }

  #drop(counted: Counted): void {
    counted.references -= 1;
    const { id, node } = counted.address;
    // After a close nobody counts, and the lease ends by itself.
    if (counted.references > 0 || !this.#counted.delete(id)) return;
    this.#tell(node, this.#lease([], [id]));
  }

  async #keepHere(
    store: ObjectStore,
    frame: Uint8Array,
    inner: readonly TravellingAddress[],
    { timeoutMs = OBJECT_TIMEOUT_MS, signal }: ObjectOptions,
  ): Promise<ObjectAddress> {
    const { holder, endpoint } = this.#options;
    const onFree = inner.length > 0 ? this.hold(inner) : undefined;
    const stored = store.put(holder, LEASE_MS_LOCAL, frame.length, () => frame, onFree);
    const limits = { timeoutMs, ...(signal && { signal }) };
    try {
      return await within(stored, endpoint.clock, limits, 'finding room for an object');
    } catch (error) {
      // It may get its room yet, but nobody waits for it any more.
      stored.then(
        ({ id }) => store.release(holder, [id]),
        () => {},
      );
      throw error;
    }
  }

  async #send(
    frame: Uint8Array,
    addresses: readonly TravellingAddress[],
    options: ObjectOptions,
  ): Promise<ObjectAddress> {
    const { holder, hub, endpoint } = this.#options;
    const { timeoutMs = OBJECT_TIMEOUT_MS, signal } = options;
    const home = hub ?? endpoint;
    const inner = addresses.length > 0 ? { inner: addresses } : {};
    const order = { kind: 'object-put', holder, byteLength: frame.length, ...inner } as const;
    const small = frame.length <= SENT_WHOLE_BYTES_MAX;
    const checked = home.bus.kind !== 'local';
    const offer = small ? undefined : offerChunks(home.bus, frame, { timeoutMs, checked });
    const body = offer === undefined ? { value: frame } : { chunks: offer.reference };
    const answer = await requestControl(
      home,
      subjects.objects(endpoint.namespace, endpoint.nodeId),
      'object-stored',
      { bytes: encodeMessage({ ...order, ...body }), ...(offer && { cancel: offer.cancel }) },
      { timeoutMs, ...(signal && { signal }) },
    );
    return answer.address;
  }

  #lease(hold: readonly string[], release: readonly string[]): LeaseChange {
    return { holder: this.#options.holder, leaseMs: LEASE_MS, hold, release };
  }

  /** A release that is lost runs out, and a lease is renewed: only a new holder needs an answer. */
  #tell(node: string, change: LeaseChange): void {
    const { store, endpoint } = this.#options;
    if (node === store?.nodeId) {
      const own = change.holder === this.#options.holder;
      store.hold(change.holder, change.hold, own ? LEASE_MS_LOCAL : change.leaseMs);
      store.release(change.holder, change.release);
      return;
    }
    if (!endpoint.link.usable) return;
    const subject = subjects.objects(endpoint.namespace, node);
    endpoint.bus.publish(subject, encodeMessage({ kind: 'object-leases', ...change }));
  }

  #stopRenewing(): void {
    this.#renewing?.cancel();
    this.#renewing = undefined;
  }

  #renew(): void {
    const now = this.#options.endpoint.clock.now();
    const due = this.#dropping.filter(({ droppedAt }) => droppedAt <= now);
    this.#dropping = this.#dropping.filter(({ droppedAt }) => droppedAt > now);
    for (const { counted } of due) this.#drop(counted);
    if (this.#counted.size === 0) this.#stopRenewing();
    const byNode = Map.groupBy(this.#counted.values(), ({ address }) => address.node);
    for (const [node, counted] of byNode) {
      if (node === this.#options.store?.nodeId) continue;
      const ids = counted.map(({ address }) => address.id);
      for (let i = 0; i < ids.length; i += RENEWED_MAX) {
        this.#tell(node, this.#lease(ids.slice(i, i + RENEWED_MAX), []));
      }
    }
  }
}

type LeaseChange = Omit<ObjectLeasesMessage, 'kind'>;

/** The store's own process doesn't end before the store does. */
const LEASE_MS_LOCAL = Number.POSITIVE_INFINITY;
