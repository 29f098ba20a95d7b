import {
  BusClosedError,
  DeadlineError,
  NoResponderError,
  ObjectLostError,
  ObjectStoreFullError,
} from '../../errors.ts';
import type { Bus } from '../bus/bus.ts';
import { requestControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { type Clock, TIMER_MS_MAX } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import { fetchChunks } from '../wire/chunk-fetch.ts';
import { chunkBytesOn } from '../wire/chunks.ts';
import type { ObjectAddress } from '../wire/object-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { ObjectStore } from './object-store.ts';

/** A node that doesn't say within this whether it has an object is gone. */
const CHECK_TIMEOUT_MS = 5_000;
/** A copy that several wait for outlasts the patience of the first of them. */
const COPY_TIMEOUT_MS = 600_000;
/** Beyond so many, what is gone is found out anew by each read. */
const GONE_MAX = 4_096;
/** A copy may make room for others before it is read. */
const COPY_ATTEMPTS = 3;

export interface ObjectReaderOptions {
  readonly endpoint: Endpoint;
  /** Of the host process itself. */
  readonly store?: ObjectStore;
  /** To the hub of this process's host, where the bus is not that hub itself. */
  readonly hub?: Endpoint;
}

export interface ReadOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Reads objects by the shortest way: from this process's own store; over a Unix socket from its
 * node or another one of this host; from another host through its own node, which keeps a copy for
 * all processes here.
 */
export class ObjectReader {
  readonly #options: ObjectReaderOptions;
  /** Nodes that are known to be gone, and how that is known. */
  readonly #gone = new Map<string, string>();
  /** What is read from other hosts, by node. */
  readonly #reading = new Map<string, Set<AbortController>>();
  constructor(options: ObjectReaderOptions) {
    this.#options = options;
  }

  /**
   * The bytes of the value's frame, nobody else's.
   * @throws ObjectLostError, DamagedDataError, DeadlineError, the signal's reason.
   */
  async read(address: ObjectAddress, options: ReadOptions): Promise<Uint8Array> {
    const { endpoint, store, hub } = this.#options;
    const { node } = address;
    if (store?.nodeId === node) return copyOf(await store.read(address.id));
    try {
      if (endpoint.nodeId === node) {
        return await this.#fetchFrom((hub ?? endpoint).bus, node, address, options);
      }
      const near = await this.#readNear(address, options);
      return near ?? (await this.#readFar(address, options));
    } catch (error) {
      if (!(error instanceof NoResponderError)) throw error;
      throw await this.#explain(address, error);
    }
  }

  /** From now on reads of its objects fail at once, those under way as well. */
  noteGone(node: string, why: string): void {
    if (this.#gone.size < GONE_MAX) this.#gone.set(node, why);
    for (const reading of this.#reading.get(node) ?? []) reading.abort(lost(node, why));
  }

  noteReturned(node: string): void {
    this.#gone.delete(node);
  }

  /** The nodes of other hosts that are being read from. */
  get sources(): Iterable<string> {
    return this.#reading.keys();
  }

  /** Brings a copy of another node's object into this node's store. */
  async copyOnce(store: ObjectStore, address: ObjectAddress): Promise<void> {
    const options = { timeoutMs: COPY_TIMEOUT_MS };
    await store.fetchOnce(address, () => this.#fetchFar(address, options));
  }

  /** From another node of this host; undefined if it is none. */
  async #readNear(address: ObjectAddress, options: ReadOptions): Promise<Uint8Array | undefined> {
    const { nearby } = this.#options.endpoint.bus;
    const word = wordOf(address);
    const neighbour = await nearby?.find(word);
    try {
      if (neighbour) return await this.#fetchFrom(neighbour, address.node, address, options);
    } catch (error) {
      if (!(error instanceof BusClosedError)) throw error;
      // Its process has ended, which another attempt to connect shows.
      await nearby?.find(word);
    }
    if (nearby?.isDead(word)) throw lost(address.node, 'has ended on this host');
    return undefined;
  }

  /** Of another host. */
  async #readFar(address: ObjectAddress, options: ReadOptions): Promise<Uint8Array> {
    const { store, hub } = this.#options;
    try {
      if (store !== undefined) return await this.#readOwnCopy(store, address, options);
      if (hub !== undefined) return await this.#readCopy(hub, address, options);
    } catch (error) {
      // Too large to be kept here, or gone again too often: it can still be read past the copies.
      if (!(error instanceof ObjectStoreFullError || error instanceof NoResponderError))
        throw error;
    }
    return await this.#fetchFar(address, options);
  }

  async #readOwnCopy(
    store: ObjectStore,
    address: ObjectAddress,
    options: ReadOptions,
  ): Promise<Uint8Array> {
    const { clock } = this.#options.endpoint;
    await within(this.copyOnce(store, address), clock, options, `fetching object ${address.id}`);
    return copyOf(await store.read(address.id));
  }

  async #readCopy(
    hub: Endpoint,
    address: ObjectAddress,
    options: ReadOptions,
  ): Promise<Uint8Array> {
    const { namespace, nodeId } = this.#options.endpoint;
    const subject = subjects.objects(namespace, nodeId);
    const { timeoutMs } = options;
    const parcel = { bytes: encodeMessage({ kind: 'object-fetch', address }) };
    for (let attempt = 1; ; attempt += 1) {
      await requestControl(hub, subject, 'done', parcel, options);
      try {
        return await this.#fetchFrom(hub.bus, nodeId, address, { ...options, timeoutMs });
      } catch (error) {
        if (!(error instanceof NoResponderError) || attempt === COPY_ATTEMPTS) throw error;
      }
    }
  }

  /** From the node of another host that holds it, as long as that is there. */
  async #fetchFar(address: ObjectAddress, options: ReadOptions): Promise<Uint8Array> {
    const { node } = address;
    const why = this.#gone.get(node);
    if (why !== undefined) throw lost(node, why);
    const reading = new AbortController();
    const readings = this.#reading.get(node) ?? new Set();
    this.#reading.set(node, readings.add(reading));
    const signal = options.signal
      ? AbortSignal.any([options.signal, reading.signal])
      : reading.signal;
    try {
      const { bus } = this.#options.endpoint;
      return await this.#fetchFrom(bus, node, address, { ...options, signal });
    } catch (error) {
      if (!(error instanceof NoResponderError)) throw error;
      throw await this.#explain(address, error);
    } finally {
      readings.delete(reading);
      if (readings.size === 0) this.#reading.delete(node);
    }
  }

  /** On one host the kernel carries the bytes, so that only those of another one are summed. */
  #fetchFrom(
    bus: Bus,
    node: string,
    { id, byteLength, chunkBytes, crc32 }: ObjectAddress,
    options: ReadOptions,
  ): Promise<Uint8Array> {
    const subject = subjects.object(this.#options.endpoint.namespace, node, id);
    const cut = bus.kind === 'local' ? { chunkBytes: chunkBytesOn(bus) } : { chunkBytes, crc32 };
    return fetchChunks(bus, { subject, byteLength, ...cut }, { ...options, confirm: false });
  }

  /** Why nobody answers for the object. */
  async #explain({ id, node }: ObjectAddress, silence: NoResponderError): Promise<unknown> {
    const { endpoint } = this.#options;
    const subject = subjects.objects(endpoint.namespace, node);
    const parcel = { bytes: encodeMessage({ kind: 'object-check', id }) };
    // It was waited for already.
    const limits = { timeoutMs: CHECK_TIMEOUT_MS, absentMs: 0 };
    try {
      await requestControl(endpoint, subject, 'done', parcel, limits);
      return silence;
    } catch (error) {
      if (!(error instanceof NoResponderError || error instanceof DeadlineError)) return error;
      return lost(node, 'does not answer');
    }
  }
}

function lost(node: string, why: string): ObjectLostError {
  const text = `the object is lost: node ${node}, which held it, ${why}`;
  return new ObjectLostError(text, 'owner-died');
}

function wordOf({ id }: ObjectAddress): string {
  return id.slice(0, id.indexOf('-'));
}

/** What the store has stays its own, so that nobody can change it. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** @throws DeadlineError, the signal's reason; `work` then goes on without anybody waiting. */
export function within<Result>(
  work: Promise<Result>,
  clock: Clock,
  { timeoutMs, signal }: ReadOptions,
  what: string,
): Promise<Result> {
  // Each read passes here: an abort controller for the wait would take as long as the rest of it.
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
      finish();
    };
    const onAbort = (): void => settle(() => reject(signal?.reason));
    const timer = clock.setTimeout(
      () => settle(() => reject(new DeadlineError(`${what} took over ${timeoutMs} ms`))),
      Math.min(timeoutMs, TIMER_MS_MAX),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    work.then(
      (result) => settle(() => resolve(result)),
      (error) => settle(() => reject(error)),
    );
    if (signal?.aborted) onAbort();
  });
}
