import { BusClosedError, DeadlineError, type DeathCause, NoResponderError } from '../../errors.ts';
import type { Subscription } from '../bus/bus.ts';
import { type ClockTimer, repeat } from '../clock.ts';
import type { Departure, ReferenceKeeper } from '../objects/object-ref.ts';
import { isDetachedOwner, subjects } from '../wire/address.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';
import type { StateMessage } from '../wire/life-messages.ts';
import type { ObjectAddress } from '../wire/object-messages.ts';
import { decodeMessage, encodeMessage, type WireMessage } from '../wire/wire.ts';
import { toWireError } from '../wire/wire-error.ts';
import { ArgumentStreams, type ReadOptions } from './argument-streams.ts';
import { CALL_TIMEOUT_MS, type CallOptions, STREAM_ITEMS } from './call-options.ts';
import { requestControl } from './control.ts';
import type { Endpoint } from './endpoint.ts';
import {
  type ActorAddress,
  type CallPath,
  holdNothing,
  packArguments,
  unknownMethod,
} from './handle.ts';
import { Peer } from './peer.ts';
import { withRetries } from './retry.ts';
import { StreamReader } from './stream-reader.ts';
import type { StreamReference } from './stream-reference.ts';
import type { ActorListener } from './watch.ts';

const TICK_MS = 1_000;
/** An owner that doesn't answer for so long is taken for dead, and its actors with it. */
const OWNER_SILENT_MS = 15_000;
/** One that listens no more may have lost its connection: as a node, it is dead after so long. */
const OWNER_ABSENT_MS = 5_000;
/** A deadline that is met later than this was met by a process that was not running. */
const STALL_MS = 1_000;
const PEERS_MAX = 16_384;
/** The register may have to elect a leader. */
const LOOKUP_MS = 20_000;
/** A message whose call has ended is read within this, or never. */
const ARRIVAL_GRACE_MS = 10_000;

interface KnownPeer {
  readonly peer: Peer;
  readonly stateSubscription: Subscription;
}

/** All calls of one process to actors anywhere. */
export class Caller implements CallPath {
  readonly #endpoint: Endpoint;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #watching: Subscription;
  readonly #streams: ArgumentStreams;
  readonly #known = new Map<string, KnownPeer>();
  /** By the address object of a handle: a call then builds no key. */
  #byAddress = new WeakMap<ActorAddress, Peer>();
  readonly #byIncarnation = new Map<string, Peer>();
  readonly #stateHere: (address: ActorAddress) => StateMessage | undefined;
  readonly #locating = new Set<Peer>();
  readonly #closing = new AbortController();
  #ticking: ClockTimer | undefined;

  readonly keeper: ReferenceKeeper;

  /** `stateHere` answers at once for actors that this process owns. */
  constructor(
    endpoint: Endpoint,
    keeper: ReferenceKeeper,
    stateHere: (address: ActorAddress) => StateMessage | undefined = () => undefined,
  ) {
    this.#endpoint = endpoint;
    this.keeper = keeper;
    this.#stateHere = stateHere;
    this.#inbox = endpoint.bus.createInbox();
    this.#streams = new ArgumentStreams(endpoint, this, this.#inbox, () => this.#startTicking());
    this.#subscription = endpoint.bus.subscribe(this.#inbox, ({ data }) => this.#receive(data));
    this.#watching = endpoint.bus.onStatus((status) => {
      if (status.type === 'closed') this.close(status.error);
    });
  }

  call(
    address: ActorAddress,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): Promise<unknown> {
    const kind = address.methods[method];
    if (kind === undefined) return Promise.reject(unknownMethod(address, method));
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    const { retry, timeoutMs = CALL_TIMEOUT_MS, signal } = options;
    if (retry === undefined) return this.#callOnce(address, method, args, timeoutMs, options);
    if (kind !== 'idempotent') return Promise.reject(notIdempotent(address, method));
    const addresses: ObjectAddress[] = [];
    let frame: Uint8Array;
    try {
      // Its caller may change its arrays between the attempts.
      const departure = { forMs: timeoutMs + ARRIVAL_GRACE_MS, addresses };
      frame = encodeFrame(packArguments(args, departure, refuseStream));
    } catch (error) {
      return Promise.reject(error);
    }
    const { clock } = this.#endpoint;
    const answer = withRetries(retry, { clock, timeoutMs, signal }, (timeoutMs) => {
      const args = decodeFrame(frame) as readonly unknown[];
      return this.#callOnce(address, method, args, timeoutMs, options);
    });
    return this.#retaining(addresses, answer);
  }

  /** A call may be sent again, to a next life of the actor, until it is settled. */
  #retaining(addresses: readonly ObjectAddress[], answer: Promise<unknown>): Promise<unknown> {
    return addresses.length === 0 ? answer : answer.finally(this.keeper.retain(addresses));
  }

  #callOnce(
    address: ActorAddress,
    method: string,
    args: readonly unknown[],
    timeoutMs: number,
    { signal, idempotencyKey: key }: CallOptions,
  ): Promise<unknown> {
    const stream = undefined;
    if (holdNothing(args)) {
      const idempotent = address.methods[method] === 'idempotent';
      const outgoing = { method, args, idempotent, timeoutMs, signal, stream, key };
      return this.#peer(address).call(outgoing);
    }
    const streams: StreamReference[] = [];
    const addresses: ObjectAddress[] = [];
    let packed: readonly unknown[];
    try {
      packed = this.#pack(args, streams, { forMs: timeoutMs + ARRIVAL_GRACE_MS, addresses });
    } catch (error) {
      return Promise.reject(error);
    }
    // What was read of a stream by one life can't be given to the next.
    const idempotent = address.methods[method] === 'idempotent' && streams.length === 0;
    const outgoing = { method, args: packed, idempotent, timeoutMs, signal, stream, key };
    const answer = this.#retaining(addresses, this.#peer(address).call(outgoing));
    return streams.length === 0 ? answer : answer.finally(() => this.#withdraw(streams));
  }

  stream(
    address: ActorAddress,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): StreamReader {
    const { timeoutMs = CALL_TIMEOUT_MS, signal, streamItemsMax = STREAM_ITEMS } = options;
    if (options.retry !== undefined || options.idempotencyKey !== undefined) {
      throw new TypeError(`${method} is a stream; retry and idempotencyKey are for calls`);
    }
    const streams: StreamReference[] = [];
    return new StreamReader({
      name: `stream ${method} of actor ${address.name}`,
      clock: this.#endpoint.clock,
      timeoutMs,
      itemsMax: streamItemsMax,
      signal,
      open: async (reader, signal) => {
        this.#closing.signal.throwIfAborted();
        const packed = this.#pack(args, streams, { forMs: timeoutMs + ARRIVAL_GRACE_MS });
        const stream = { credit: streamItemsMax, reader };
        const rest = { idempotent: false, timeoutMs, signal, stream, key: undefined };
        await this.#peer(address).call({ method, args: packed, ...rest });
      },
      onClose: () => this.#withdraw(streams),
    });
  }

  openArgument(reference: StreamReference, options: ReadOptions): StreamReader {
    return this.#streams.open(reference, options);
  }

  watch(address: ActorAddress, listener: ActorListener): () => void {
    this.#closing.signal.throwIfAborted();
    return this.#peer(address).watch(listener);
  }

  /** News of an actor that this process owns, ahead of its own announcement on the bus. */
  apply(state: StateMessage): void {
    this.#known.get(keyOf(state))?.peer.apply(state);
  }

  /** Rejects whatever is open. */
  close(error: Error = new BusClosedError('the system was closed')): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(error);
    this.#ticking?.cancel();
    this.#subscription.unsubscribe();
    this.#watching.unsubscribe();
    for (const { peer, stateSubscription } of this.#known.values()) {
      stateSubscription.unsubscribe();
      peer.close(error);
    }
    this.#streams.close(error);
    this.#known.clear();
    this.#byIncarnation.clear();
  }

  /** Adds to `streams` what is put on offer, which ends with the call. */
  #pack(
    args: readonly unknown[],
    streams: StreamReference[],
    departure: Departure,
  ): readonly unknown[] {
    try {
      return packArguments(args, departure, (items) => {
        const reference = this.#streams.offer(items);
        streams.push(reference);
        return reference;
      });
    } catch (error) {
      this.#withdraw(streams);
      throw error;
    }
  }

  #withdraw(streams: readonly StreamReference[]): void {
    for (const reference of streams) this.#streams.withdraw(reference);
  }

  #peer(address: ActorAddress): Peer {
    const cached = this.#byAddress.get(address);
    if (cached !== undefined) return cached;
    const peer = this.#known.get(keyOf(address))?.peer ?? this.#addPeer(address);
    this.#byAddress.set(address, peer);
    return peer;
  }

  #addPeer(address: ActorAddress): Peer {
    if (this.#known.size >= PEERS_MAX) this.#evictPeer();
    const { namespace, bus } = this.#endpoint;
    const peer = new Peer({
      address,
      subject: subjects.actor(namespace, address.name),
      inbox: this.#inbox,
      endpoint: this.#endpoint,
      path: this,
      locate: (peer) => void this.#locate(peer),
      onBusy: () => this.#startTicking(),
      onIncarnation: (peer, incarnation, before) => {
        if (before !== undefined) this.#byIncarnation.delete(before);
        this.#byIncarnation.set(incarnation, peer);
      },
    });
    const stateSubject = subjects.actorState(namespace, address.name);
    const stateSubscription = bus.subscribe(stateSubject, ({ data }) => {
      const message = tryDecode(data);
      if (message?.kind === 'state' && message.owner === address.owner) peer.apply(message);
    });
    this.#known.set(keyOf(address), { peer, stateSubscription });
    void this.#locate(peer);
    return peer;
  }

  #evictPeer(): void {
    for (const [key, { peer, stateSubscription }] of this.#known) {
      if (!peer.quiet) continue;
      stateSubscription.unsubscribe();
      this.#known.delete(key);
      if (peer.incarnation) this.#byIncarnation.delete(peer.incarnation);
      // Rare, and there is no way to find the addresses of one peer.
      this.#byAddress = new WeakMap();
      return;
    }
  }

  /** Asks the owner until it answers, or is silent for so long that it must be dead. */
  async #locate(peer: Peer): Promise<void> {
    const { address } = peer;
    const here = this.#stateHere(address);
    if (here !== undefined) {
      peer.apply(here);
      return;
    }
    if (this.#locating.has(peer)) return;
    this.#locating.add(peer);
    const { namespace, link } = this.#endpoint;
    const subject = subjects.locate(namespace, address.owner);
    const bytes = encodeMessage({ kind: 'locate', name: address.name });
    const { signal } = this.#closing;
    try {
      for (;;) {
        const options = { timeoutMs: OWNER_SILENT_MS, absentMs: OWNER_ABSENT_MS, signal };
        const askedAt = this.#endpoint.clock.now();
        try {
          peer.apply(await requestControl(this.#endpoint, subject, 'state', { bytes }, options));
          return;
        } catch (error) {
          const unheard = error instanceof DeadlineError || error instanceof NoResponderError;
          if (!unheard) throw error;
          // What went unheard because we were cut off says nothing about the owner.
          const now = this.#endpoint.clock.now();
          const heardFor = now - link.connectedSince;
          // A host that slept or was busy finds its timers late: the answer may be there, unread.
          const stalled = now - askedAt > OWNER_SILENT_MS + STALL_MS;
          const fair = heardFor >= OWNER_SILENT_MS && !stalled;
          if (link.connected && (error instanceof NoResponderError || fair)) {
            if (await this.#mayReturn(address)) {
              if (peer.quiet) return;
              continue;
            }
            peer.presumeDead(ownerLost(address));
            return;
          }
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      const { message } = toWireError(error);
      peer.applyDeath({ kind: 'error', message, lastOutput: [] });
    } finally {
      this.#locating.delete(peer);
    }
  }

  /** A detached actor without a supervisor gets another one, as long as it is in the register. */
  async #mayReturn({ name, owner }: ActorAddress): Promise<boolean> {
    if (!isDetachedOwner(owner)) return false;
    const { namespace, nodeId } = this.#endpoint;
    const parcel = { bytes: encodeMessage({ kind: 'lookup', name }) };
    const options = { timeoutMs: LOOKUP_MS, signal: this.#closing.signal };
    const here = subjects.locate(namespace, nodeId);
    const { address } = await requestControl(this.#endpoint, here, 'found', parcel, options);
    return address !== undefined;
  }

  #receive(data: Uint8Array): void {
    const message = tryDecode(data);
    if (message === undefined) return;
    if ('of' in message) {
      const peer = this.#byIncarnation.get(message.of);
      if (peer !== undefined) peer.receive(message);
      else if (message.kind === 'item' || message.kind === 'end') this.#streams.receive(message);
    } else if (message.kind === 'credit' || message.kind === 'cancel') {
      this.#streams.receive(message);
    }
  }

  #startTicking(): void {
    this.#ticking ??= repeat(this.#endpoint.clock, TICK_MS, () => this.#tick());
  }

  #tick(): void {
    let busy = !this.#streams.quiet;
    this.#streams.tick();
    for (const { peer } of this.#known.values()) {
      if (peer.quiet) {
        peer.rest();
        continue;
      }
      busy = true;
      peer.tick();
    }
    if (busy) return;
    this.#ticking?.cancel();
    this.#ticking = undefined;
  }
}

function keyOf({ name, owner }: { readonly name: string; readonly owner: string }): string {
  return `${name}@${owner}`;
}

function tryDecode(data: Uint8Array): WireMessage | undefined {
  try {
    return decodeMessage(data);
  } catch {
    // Damaged or foreign: whoever waits for it asks again, or gives up at its deadline.
    return undefined;
  }
}

function refuseStream(): never {
  throw new TypeError(
    'a stream can be read once only: a call with one among its arguments has no retry',
  );
}

function notIdempotent({ name, type }: ActorAddress, method: string): TypeError {
  return new TypeError(
    `${method} of actor ${name} (${type}) can't be called with retry: it is not declared idempotent`,
  );
}

function ownerLost({ name, owner }: ActorAddress): DeathCause {
  return {
    kind: 'node-lost',
    message: `node ${owner}, which owns actor ${name}, does not answer`,
    lastOutput: [],
  };
}
