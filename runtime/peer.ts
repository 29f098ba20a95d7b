import { ActorDiedError, DeadlineError, type DeathCause, MailboxFullError } from '../errors.ts';
import { incarnationOf } from './address.ts';
import { type Endpoint, encodeCarrying, openCarried } from './endpoint.ts';
import { type ActorAddress, type CallPath, unpackHandles } from './handle.ts';
import { type OutgoingCall, PendingCall } from './pending-call.ts';
import type { StreamReader } from './stream-reader.ts';
import {
  type CallMessage,
  type Carried,
  type EndMessage,
  encodeMessage,
  type ItemMessage,
  type ProgressMessage,
  type ReplyMessage,
  type StateMessage,
  type WireMessage,
} from './wire.ts';
import { fromWireError } from './wire-error.ts';

/** Calls kept on this side while the actor is being located or restarted. */
const WAITING_CALLS_MAX = 1024;
/** Ticks of a second after which an unanswered call is asked about, and between such questions. */
const PROBE_TICKS = 2;
/** Ticks of silence after which the owner is asked whether the actor lives. */
const LOCATE_TICKS = 5;

export interface PeerOptions {
  readonly address: ActorAddress;
  readonly subject: string;
  /** Where this process gets its answers. */
  readonly inbox: string;
  readonly endpoint: Endpoint;
  readonly path: CallPath;
  /** Wants the owner's word on the actor, through `apply`. */
  locate(peer: Peer): void;
  /** Something is open: wants `tick` each second. */
  onBusy(): void;
  /** Answers of `incarnation` belong to this peer from now on. */
  onIncarnation(peer: Peer, incarnation: string, before: string): void;
}

type ActorMessage = ReplyMessage | ItemMessage | EndMessage | ProgressMessage;

/**
 * One actor as seen by its callers in this process: where it lives, which calls it owes an answer,
 * which wait for it to live again. Calls are numbered within one incarnation; when that ends, what
 * it owed fails with the cause of death, or waits for the next one if it is idempotent.
 */
export class Peer {
  readonly #options: PeerOptions;
  readonly #inFlight = new Map<number, PendingCall>();
  readonly #readers = new Map<number, StreamReader>();
  #waiting: PendingCall[] = [];
  #status: 'unknown' | StateMessage['status'] = 'unknown';
  #version = 0;
  #incarnation = '';
  #cause: DeathCause | undefined;
  #next = 0;
  #tick = 0;
  #heardTick = 0;
  #probedTick = 0;
  #locatedTick = 0;

  constructor(options: PeerOptions) {
    this.#options = options;
  }

  get address(): ActorAddress {
    return this.#options.address;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  /** Nothing is open or waiting. */
  get quiet(): boolean {
    return this.#inFlight.size === 0 && this.#readers.size === 0 && this.#waiting.length === 0;
  }

  get located(): boolean {
    return this.#status !== 'unknown';
  }

  call(outgoing: OutgoingCall): Promise<unknown> {
    const { signal, timeoutMs } = outgoing;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#status === 'dead') return Promise.reject(this.#diedError(outgoing.method));
    const { clock } = this.#options.endpoint;
    return new Promise((resolve, reject) => {
      const pending = new PendingCall(outgoing, clock.now() + timeoutMs, resolve, reject);
      try {
        if (this.#status === 'running' && this.#waiting.length === 0) this.#send(pending);
        else this.#wait(pending);
      } catch (error) {
        pending.reject(error);
        return;
      }
      pending.timer = clock.setTimeout(() => this.#expire(pending), timeoutMs);
      if (signal !== undefined) {
        pending.onAbort = () => this.#abandon(pending, signal.reason);
        signal.addEventListener('abort', pending.onAbort, { once: true });
      }
      this.#options.onBusy();
    });
  }

  /** The owner's word on the actor; what is older than the last one is ignored. */
  apply(state: StateMessage): void {
    if (state.version <= this.#version) return;
    this.#version = state.version;
    this.#cause = state.cause ?? this.#cause;
    const { owner, name } = this.address;
    const incarnation = incarnationOf(owner, name, state.epoch);
    this.#status = state.status;
    if (state.status === 'dead') this.#loseAll();
    else if (state.status === 'restarting') this.#loseIncarnation();
    else {
      if (incarnation !== this.#incarnation) {
        this.#loseIncarnation();
        this.#options.onIncarnation(this, incarnation, this.#incarnation);
        this.#incarnation = incarnation;
        this.#next = 0;
      }
      this.#sendWaiting();
    }
  }

  /** The owner is gone, and with it whatever it owned. */
  applyDeath(cause: DeathCause): void {
    this.#status = 'dead';
    this.#cause = cause;
    this.#loseAll();
  }

  receive(message: ActorMessage): void {
    if (message.of !== this.#incarnation) return;
    this.#heardTick = this.#tick;
    switch (message.kind) {
      case 'reply':
        this.#receiveReply(message);
        break;
      case 'item':
        this.#readers.get(message.seq)?.receive(message.index, () => this.#open(message));
        break;
      case 'end': {
        const failure = message.error && { error: fromWireError(message.error) };
        this.#readers.get(message.seq)?.receiveEnd(message.index, failure);
        break;
      }
      case 'progress':
        for (const seq of message.missing) this.#resend(seq);
        for (const seq of message.forgotten) {
          const text = 'its answer was lost on the way and is no longer kept by the actor';
          this.#inFlight.get(seq)?.reject(new DeadlineError(this.#describe(seq, text)));
          this.#inFlight.delete(seq);
        }
    }
  }

  /** Once a second while not quiet: asks about what should have been answered. */
  tick(): void {
    this.#tick += 1;
    const tick = this.#tick;
    if (this.#status !== 'running') return;
    const oldest = this.#inFlight.values().next().value;
    if (oldest === undefined && this.#readers.size === 0) {
      this.#heardTick = tick;
      return;
    }
    if (tick - this.#probedTick >= PROBE_TICKS) {
      this.#probedTick = tick;
      if (oldest && tick - oldest.sentTick >= PROBE_TICKS) this.#probe(oldest.seq);
      for (const reader of this.#readers.values()) reader.renewCredit();
    }
    const silentSince = Math.max(this.#heardTick, this.#locatedTick, oldest?.sentTick ?? 0);
    if (tick - silentSince >= LOCATE_TICKS && this.#options.endpoint.link.connected) {
      this.#locatedTick = tick;
      this.#options.locate(this);
    }
  }

  close(error: Error): void {
    const pendings = [...this.#inFlight.values(), ...this.#waiting];
    this.#inFlight.clear();
    this.#waiting = [];
    for (const pending of pendings) pending.reject(error);
    this.#failReaders(error);
  }

  #send(pending: PendingCall): void {
    const { endpoint, inbox, subject } = this.#options;
    const { method, timeoutMs, stream } = pending.outgoing;
    const seq = this.#next;
    const floor = this.#inFlight.size === 0 ? seq : this.#inFlight.keys().next().value!;
    const build = (carried: Carried): CallMessage => ({
      kind: 'call',
      to: this.#incarnation,
      from: inbox,
      seq,
      floor,
      method,
      timeoutMs: Math.max(1, Math.ceil(pending.deadlineAt - endpoint.clock.now())),
      ...(stream && { credit: stream.credit }),
      ...carried,
    });
    const parcel = encodeCarrying(endpoint.bus, pending.args(), timeoutMs, build);
    // Only what could be encoded takes a number: a gap would hold up all calls after it.
    pending.parcel = parcel;
    pending.seq = seq;
    pending.sentTick = this.#tick;
    this.#next += 1;
    this.#inFlight.set(seq, pending);
    if (stream) this.#attach(stream.reader, seq);
    try {
      endpoint.bus.publish(subject, parcel.bytes);
    } catch (error) {
      this.#inFlight.delete(seq);
      this.#readers.delete(seq);
      throw error;
    }
  }

  #attach(reader: StreamReader, seq: number): void {
    const from = this.#options.inbox;
    const to = this.#incarnation;
    this.#readers.set(seq, reader);
    reader.attach({
      sendCredit: (received, allowed, resend) =>
        this.#publish({ kind: 'credit', to, from, seq, received, allowed, resend }),
      cancel: () => {
        if (this.#readers.get(seq) !== reader) return;
        this.#readers.delete(seq);
        this.#publish({ kind: 'cancel', to, from, seq });
      },
    });
  }

  #wait(pending: PendingCall): void {
    if (this.#waiting.length >= WAITING_CALLS_MAX) {
      throw new MailboxFullError(
        `${WAITING_CALLS_MAX} calls wait for actor ${this.address.name}, which is ` +
          `${this.#status === 'unknown' ? 'being located' : this.#status}; await some of them first`,
      );
    }
    pending.takeSnapshot();
    this.#waiting.push(pending);
  }

  #sendWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const pending of waiting) {
      try {
        this.#send(pending);
      } catch (error) {
        pending.reject(error);
      }
    }
  }

  #resend(seq: number): void {
    const pending = this.#inFlight.get(seq);
    if (pending?.parcel === undefined || pending.fetching) return;
    this.#options.endpoint.bus.publish(this.#options.subject, pending.parcel.bytes);
  }

  #receiveReply(message: ReplyMessage): void {
    const pending = this.#inFlight.get(message.seq);
    if (pending === undefined || pending.fetching) return;
    if (message.error !== undefined) {
      this.#inFlight.delete(message.seq);
      this.#readers.delete(message.seq);
      pending.reject(fromWireError(message.error));
    } else if (message.chunks === undefined) {
      this.#inFlight.delete(message.seq);
      this.#resolve(pending, message.value);
    } else {
      void this.#fetchReply(pending, message);
    }
  }

  async #fetchReply(pending: PendingCall, message: ReplyMessage): Promise<void> {
    const { bus, clock } = this.#options.endpoint;
    const fetching = new AbortController();
    pending.fetching = fetching;
    const timeoutMs = Math.max(1, pending.deadlineAt - clock.now());
    try {
      const value = await openCarried(bus, message, { timeoutMs, signal: fetching.signal });
      if (pending.fetching !== fetching) return;
      this.#inFlight.delete(message.seq);
      this.#resolve(pending, value);
    } catch (error) {
      if (pending.fetching !== fetching) return;
      // The next probe brings the answer again, until the call's deadline.
      pending.fetching = undefined;
      pending.lastError = error;
    }
  }

  #resolve(pending: PendingCall, value: unknown): void {
    try {
      pending.resolve(unpackHandles(value, this.#options.path));
    } catch (error) {
      pending.reject(error);
    }
  }

  async #open(message: ItemMessage): Promise<unknown> {
    const { endpoint, path } = this.#options;
    const timeoutMs = 30_000;
    return unpackHandles(await openCarried(endpoint.bus, message, { timeoutMs }), path);
  }

  #probe(floor: number): void {
    const from = this.#options.inbox;
    this.#publish({ kind: 'probe', to: this.#incarnation, from, floor, next: this.#next });
  }

  #expire(pending: PendingCall): void {
    const { method, timeoutMs } = pending.outgoing;
    const status = this.#status === 'unknown' ? 'not located yet' : this.#status;
    this.#abandon(
      pending,
      new DeadlineError(
        `${method} of actor ${this.address.name} got no answer within ${timeoutMs} ms; ` +
          `the actor is ${status}`,
        pending.lastError === undefined ? {} : { cause: pending.lastError },
      ),
    );
  }

  #abandon(pending: PendingCall, reason: unknown): void {
    const { seq } = pending;
    pending.reject(reason);
    if (this.#inFlight.delete(seq)) {
      this.#readers.delete(seq);
      this.#publish({ kind: 'cancel', to: this.#incarnation, from: this.#options.inbox, seq });
    } else {
      this.#waiting = this.#waiting.filter((waiting) => waiting !== pending);
    }
  }

  /** What the incarnation owed fails, or waits for the next one. */
  #loseIncarnation(): void {
    const again: PendingCall[] = [];
    for (const pending of this.#inFlight.values()) {
      if (pending.outgoing.idempotent) {
        pending.unsend();
        again.push(pending);
      } else {
        pending.reject(this.#diedError(pending.outgoing.method));
      }
    }
    this.#inFlight.clear();
    this.#waiting = [...again, ...this.#waiting];
    this.#failReaders(this.#diedError('a stream'));
  }

  #loseAll(): void {
    this.#loseIncarnation();
    for (const pending of this.#waiting) pending.reject(this.#diedError(pending.outgoing.method));
    this.#waiting = [];
  }

  #failReaders(error: Error): void {
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    for (const reader of readers) reader.fail(error);
  }

  #diedError(method: string): ActorDiedError {
    const { name } = this.address;
    const cause = this.#cause ?? { kind: 'error', message: 'for an unknown cause', lastOutput: [] };
    const when = this.#status === 'dead' ? 'is dead' : 'died';
    const text = `actor ${name} ${when}, so ${method} can't be answered: ${cause.message}`;
    return new ActorDiedError(text, name, cause);
  }

  #describe(seq: number, what: string): string {
    return `${this.#inFlight.get(seq)?.outgoing.method} of actor ${this.address.name}: ${what}`;
  }

  #publish(message: WireMessage): void {
    this.#options.endpoint.bus.publish(this.#options.subject, encodeMessage(message));
  }
}
