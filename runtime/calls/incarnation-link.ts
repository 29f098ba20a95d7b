import { DeadlineError, PayloadTooLargeError } from '../../errors.ts';
import type {
  CallMessage,
  EndMessage,
  ItemMessage,
  ProgressMessage,
  ReplyMessage,
} from '../wire/call-messages.ts';
import { encodeMessage, type WireMessage } from '../wire/wire.ts';
import { fromWireError } from '../wire/wire-error.ts';
import { type Endpoint, encodeCarrying, openCarried } from './endpoint.ts';
import { type CallPath, unpackHandles } from './handle.ts';
import type { PendingCall } from './pending-call.ts';
import { SequenceMap } from './sequence-map.ts';
import type { StreamReader } from './stream-reader.ts';

/** Ticks of a second after which an unanswered call is asked about, and between such questions. */
const PROBE_TICKS = 2;
/** Ticks of silence after which it is doubtful whether the actor lives. */
const SILENT_TICKS = 5;
/** A large item of a stream has so long to arrive once it is announced. */
const ITEM_FETCH_MS = 60_000;

export interface IncarnationLinkOptions {
  readonly incarnation: string;
  /** The actor's name, for messages. */
  readonly name: string;
  readonly subject: string;
  /** Where this process gets its answers. */
  readonly inbox: string;
  readonly endpoint: Endpoint;
  readonly path: CallPath;
}

export type IncarnationMessage = ReplyMessage | ItemMessage | EndMessage | ProgressMessage;

/**
 * The calls and streams of this process with one life of an actor: numbers them, sends again what
 * got lost, and gives each its answer.
 */
export class IncarnationLink {
  readonly incarnation: string;
  readonly #options: IncarnationLinkOptions;
  readonly #inFlight = new SequenceMap<PendingCall>();
  readonly #readers = new Map<number, StreamReader>();
  #next = 0;
  #floor = 0;
  #tick = 0;
  #heardTick = 0;
  #probedTick = 0;
  #doubtedTick = 0;

  constructor(options: IncarnationLinkOptions) {
    this.incarnation = options.incarnation;
    this.#options = options;
  }

  /** Calls that are sent and not settled, in the order sent. */
  get inFlight(): readonly PendingCall[] {
    return this.#inFlight.valuesInOrder();
  }

  /** Nothing is open. */
  get quiet(): boolean {
    return this.#inFlight.size === 0 && this.#readers.size === 0;
  }

  /** @throws TypeError when the arguments can't be sent, BusClosedError. */
  send(pending: PendingCall, now = this.#options.endpoint.clock.now()): void {
    const { endpoint, subject } = this.#options;
    const { timeoutMs, stream } = pending.outgoing;
    const seq = this.#next;
    const parcel = encodeCarrying(endpoint.bus, this.#message(pending, now), timeoutMs);
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

  receive(message: IncarnationMessage): void {
    this.#heardTick = this.#tick;
    switch (message.kind) {
      case 'reply':
        this.#receiveReply(message);
        break;
      case 'item':
        this.#readers.get(message.seq)?.receive(message.index, () => this.#openItem(message));
        break;
      case 'end': {
        const failure = message.error && { error: fromWireError(message.error) };
        this.#readers.get(message.seq)?.receiveEnd(message.index, failure);
        break;
      }
      case 'progress':
        for (const seq of message.missing) this.#resend(seq);
        for (const seq of message.forgotten) this.#forget(seq);
    }
  }

  /** The caller gave up; false if the call is none of this life's. */
  abandon(pending: PendingCall): boolean {
    const { seq } = pending;
    if (this.#inFlight.get(seq) !== pending) return false;
    this.#inFlight.delete(seq);
    this.#readers.delete(seq);
    this.#publish({ kind: 'cancel', to: this.incarnation, from: this.#options.inbox, seq });
    return true;
  }

  /** Once a second: asks about what should have been answered. Returns whether all is silent. */
  tick(): boolean {
    this.#tick += 1;
    const tick = this.#tick;
    if (this.quiet) {
      this.#heardTick = tick;
      return false;
    }
    const oldest = this.#inFlight.get(this.#raiseFloor());
    if (tick - this.#probedTick >= PROBE_TICKS) {
      this.#probedTick = tick;
      if (oldest && tick - oldest.sentTick >= PROBE_TICKS) this.#probe(oldest.seq);
      for (const reader of this.#readers.values()) reader.renewCredit();
    }
    const since = Math.max(this.#heardTick, this.#doubtedTick, oldest?.sentTick ?? 0);
    if (tick - since < SILENT_TICKS || !this.#options.endpoint.link.connected) return false;
    this.#doubtedTick = tick;
    return true;
  }

  /** This life is over: what it owed is returned, its streams fail. */
  end(error: Error): readonly PendingCall[] {
    const owed = this.#inFlight.valuesInOrder();
    this.#inFlight.clear();
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    for (const reader of readers) reader.fail(error);
    return owed;
  }

  #message(pending: PendingCall, now: number): CallMessage {
    const { method, timeoutMs, stream, key } = pending.outgoing;
    const call = {
      kind: 'call',
      to: this.incarnation,
      from: this.#options.inbox,
      seq: this.#next,
      floor: this.#raiseFloor(),
      method,
      // The longest is as long as a timer can be: adding and subtracting must not make it longer.
      timeoutMs: Math.max(1, Math.ceil(Math.min(timeoutMs, pending.deadlineAt - now))),
      value: pending.args(),
    } as const;
    const { span } = pending;
    if (stream === undefined && key === undefined && span === undefined) return call;
    return {
      ...call,
      ...(stream && { credit: stream.credit }),
      ...(key !== undefined && { key }),
      ...(span && { trace: span.headers }),
    };
  }

  /** The number below which all calls are settled. */
  #raiseFloor(): number {
    while (this.#floor < this.#next && !this.#inFlight.has(this.#floor)) this.#floor += 1;
    return this.#floor;
  }

  #attach(reader: StreamReader, seq: number): void {
    const from = this.#options.inbox;
    const to = this.incarnation;
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
      if (error instanceof PayloadTooLargeError) {
        this.#inFlight.delete(message.seq);
        pending.reject(error);
        return;
      }
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

  async #openItem(message: ItemMessage): Promise<unknown> {
    const { endpoint, path } = this.#options;
    const timeoutMs = ITEM_FETCH_MS;
    return unpackHandles(await openCarried(endpoint.bus, message, { timeoutMs }), path);
  }

  #resend(seq: number): void {
    const pending = this.#inFlight.get(seq);
    if (pending?.parcel === undefined || pending.fetching) return;
    this.#options.endpoint.bus.publish(this.#options.subject, pending.parcel.bytes);
  }

  #forget(seq: number): void {
    const pending = this.#inFlight.get(seq);
    if (pending === undefined) return;
    this.#inFlight.delete(seq);
    const what = `${pending.outgoing.method} of actor ${this.#options.name}`;
    pending.reject(
      new DeadlineError(`${what} ran, but its answer was lost and the actor no longer has it`),
    );
  }

  #probe(floor: number): void {
    const from = this.#options.inbox;
    this.#publish({ kind: 'probe', to: this.incarnation, from, floor, next: this.#next });
  }

  #publish(message: WireMessage): void {
    this.#options.endpoint.bus.publish(this.#options.subject, encodeMessage(message));
  }
}
