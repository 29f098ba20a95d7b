import { BusClosedError, DeadlineError, type DeathCause, NoResponderError } from '../../errors.ts';
import type { Subscription } from '../bus/bus.ts';
import { type ClockTimer, repeat } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import { decodeMessage, encodeMessage, type StateMessage, type WireMessage } from '../wire/wire.ts';
import { toWireError } from '../wire/wire-error.ts';
import { requestControl } from './control.ts';
import type { Endpoint } from './endpoint.ts';
import {
  type ActorAddress,
  type CallOptions,
  type CallPath,
  packHandles,
  unknownMethod,
} from './handle.ts';
import { Peer } from './peer.ts';
import { StreamReader } from './stream-reader.ts';

export const CALL_TIMEOUT_MS = 30_000;
const STREAM_ITEMS = 16;
const STREAM_ITEMS_MAX = 4096;
/** A longer timer would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const TICK_MS = 1_000;
/** An owner that doesn't answer for so long is taken for dead, and its actors with it. */
const OWNER_SILENT_MS = 15_000;
/** A deadline that is met later than this was met by a process that was not running. */
const STALL_MS = 1_000;
const PEERS_MAX = 16_384;

interface KnownPeer {
  readonly peer: Peer;
  readonly stateSubscription: Subscription;
}

/** All calls of one process to actors anywhere. */
export class Caller implements CallPath {
  readonly #endpoint: Endpoint;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #known = new Map<string, KnownPeer>();
  /** By the address object of a handle: a call then builds no key. */
  #byAddress = new WeakMap<ActorAddress, Peer>();
  readonly #byIncarnation = new Map<string, Peer>();
  readonly #stateHere: (address: ActorAddress) => StateMessage | undefined;
  readonly #locating = new Set<Peer>();
  readonly #closing = new AbortController();
  #ticking: ClockTimer | undefined;

  /** `stateHere` answers at once for actors that this process owns. */
  constructor(
    endpoint: Endpoint,
    stateHere: (address: ActorAddress) => StateMessage | undefined = () => undefined,
  ) {
    this.#endpoint = endpoint;
    this.#stateHere = stateHere;
    this.#inbox = endpoint.bus.createInbox();
    this.#subscription = endpoint.bus.subscribe(this.#inbox, ({ data }) => this.#receive(data));
    endpoint.bus.onStatus((status) => {
      if (status.type === 'closed') this.close(status.error);
    });
  }

  call(
    address: ActorAddress,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): Promise<unknown> {
    const { timeoutMs = CALL_TIMEOUT_MS, signal } = options;
    const kind = address.methods[method];
    if (kind === undefined) return Promise.reject(unknownMethod(address, method));
    if (!validTimeout(timeoutMs)) return Promise.reject(timeoutError(timeoutMs));
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    return this.#peer(address).call({
      method,
      args: packHandles(args) as readonly unknown[],
      idempotent: kind === 'idempotent',
      timeoutMs,
      signal,
      stream: undefined,
    });
  }

  stream(
    address: ActorAddress,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): StreamReader {
    const { timeoutMs = CALL_TIMEOUT_MS, signal, streamItemsMax = STREAM_ITEMS } = options;
    if (!validTimeout(timeoutMs)) throw timeoutError(timeoutMs);
    if (!(streamItemsMax >= 1 && streamItemsMax <= STREAM_ITEMS_MAX)) {
      throw new RangeError(
        `streamItemsMax must be 1 to ${STREAM_ITEMS_MAX}, got ${streamItemsMax}`,
      );
    }
    const packed = packHandles(args) as readonly unknown[];
    return new StreamReader({
      name: `stream ${method} of actor ${address.name}`,
      clock: this.#endpoint.clock,
      timeoutMs,
      itemsMax: streamItemsMax,
      signal,
      open: (reader, signal) => {
        if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
        const stream = { credit: streamItemsMax, reader };
        const outgoing = { method, args: packed, idempotent: false, timeoutMs, signal, stream };
        return this.#peer(address).call(outgoing);
      },
    });
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
    for (const { peer, stateSubscription } of this.#known.values()) {
      stateSubscription.unsubscribe();
      peer.close(error);
    }
    this.#known.clear();
    this.#byIncarnation.clear();
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
    const subject = subjects.node(namespace, address.owner);
    const bytes = encodeMessage({ kind: 'locate', name: address.name });
    const { signal } = this.#closing;
    try {
      for (;;) {
        const options = { timeoutMs: OWNER_SILENT_MS, signal };
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

  #receive(data: Uint8Array): void {
    const message = tryDecode(data);
    if (message !== undefined && 'of' in message) {
      this.#byIncarnation.get(message.of)?.receive(message);
    }
  }

  #startTicking(): void {
    this.#ticking ??= repeat(this.#endpoint.clock, TICK_MS, () => this.#tick());
  }

  #tick(): void {
    let busy = false;
    for (const { peer } of this.#known.values()) {
      if (peer.quiet) continue;
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

function validTimeout(timeoutMs: number): boolean {
  return timeoutMs > 0 && timeoutMs <= TIMER_MS_MAX;
}

function timeoutError(timeoutMs: number): RangeError {
  return new RangeError(`timeoutMs must be over 0 and at most ${TIMER_MS_MAX}, got ${timeoutMs}`);
}

function ownerLost({ name, owner }: ActorAddress): DeathCause {
  return {
    kind: 'node-lost',
    message: `node ${owner}, which owns actor ${name}, does not answer`,
    lastOutput: [],
  };
}
