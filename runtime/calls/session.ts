import type { CallMessage, ProgressMessage } from '../wire/call-messages.ts';
import type { KeyedRun } from './keyed-calls.ts';
import { SequenceMap } from './sequence-map.ts';
import type { ServedCall } from './served-call.ts';
import type { StreamReader } from './stream-reader.ts';

/** Calls ahead of one that is missing; more than these are dropped and asked for again. */
const HELD_CALLS_MAX = 1024;
/** Answers are kept until the caller has them, up to so many bytes for each caller. */
const REPLY_BYTES_MAX = 4 << 20;
/** One probe names at most so many calls; the next one names the rest. */
const PROBED_CALLS_MAX = 1024;

/** One call as its actor sees it. */
export class ReceivedCall {
  readonly message: CallMessage;
  state: 'waiting' | 'running' | 'done' = 'waiting';
  cancelled = false;
  /** Set by whoever runs the call: tells the method or the stream that nobody wants it any more. */
  onCancel: (() => void) | undefined;
  /** Read and checked already; a promise of that with an asynchronous schema. */
  args: readonly unknown[] | Promise<readonly unknown[]> | undefined;
  /** While the method runs. */
  context: ServedCall | undefined;
  /** While it shares its run with the other calls of an idempotency key. */
  keyed: KeyedRun | undefined;
  #argumentStreams: StreamReader[] | undefined;

  constructor(message: CallMessage) {
    this.message = message;
  }

  /** A stream came among the arguments. */
  adopt(stream: StreamReader): void {
    this.#argumentStreams ??= [];
    this.#argumentStreams.push(stream);
  }

  /** The method is done: nobody reads them any more. */
  closeArgumentStreams(): void {
    for (const stream of this.#argumentStreams ?? []) void stream.return();
  }
}

/**
 * What an actor remembers of one caller, so that over a bus that loses, repeats and reorders
 * messages each call runs once and in the caller's order. The caller's `floor` in each message says
 * which answers it has; what is below is forgotten.
 */
export class Session {
  readonly #run: (call: ReceivedCall) => void;
  readonly #resend: (reply: Uint8Array) => void;
  /** What was admitted and, once it is answered, its answer. Of what is missing the answer is gone. */
  readonly #calls = new SequenceMap<ReceivedCall | Uint8Array>();
  readonly #held = new Map<number, ReceivedCall>();
  #floor: number;
  #next: number;
  #replyBytes = 0;
  /** No answer below it is kept: one slow call may have any number of answered ones behind it. */
  #oldest: number;

  /** `run` gets each call once, in order; `resend` gets the answer of one that came again. */
  constructor(
    floor: number,
    run: (call: ReceivedCall) => void,
    resend: (reply: Uint8Array) => void,
  ) {
    this.#floor = floor;
    this.#next = floor;
    this.#oldest = floor;
    this.#run = run;
    this.#resend = resend;
  }

  /** No call of this caller waits or runs. */
  get quiet(): boolean {
    const open = this.#open().some(({ state }) => state !== 'done');
    return !open && this.#held.size === 0;
  }

  accept(message: CallMessage): void {
    this.#raiseFloor(message.floor);
    const { seq } = message;
    if (seq === this.#next) {
      this.#admit(new ReceivedCall(message));
    } else if (seq > this.#next) {
      const known = this.#held.has(seq) || this.#held.size >= HELD_CALLS_MAX;
      if (!known) this.#held.set(seq, new ReceivedCall(message));
    } else {
      const reply = this.#calls.get(seq);
      if (reply instanceof Uint8Array) this.#resend(reply);
    }
    this.#admitHeld();
  }

  cancel(seq: number): void {
    const call = this.#calls.get(seq) ?? this.#held.get(seq);
    if (call === undefined || call instanceof Uint8Array) return;
    if (call.cancelled || call.state === 'done') return;
    call.cancelled = true;
    call.onCancel?.();
  }

  /** Notes the answer and keeps its bytes until the caller has them. */
  settle(call: ReceivedCall, reply: Uint8Array): void {
    call.state = 'done';
    call.onCancel = undefined;
    const { seq } = call.message;
    if (seq < this.#floor) return;
    // Nothing else of the call is kept: its arguments may be large.
    this.#calls.set(seq, reply);
    this.#replyBytes += reply.length;
    this.#oldest = Math.min(this.#oldest, seq);
    for (; this.#replyBytes > REPLY_BYTES_MAX && this.#oldest < seq; this.#oldest += 1) {
      this.#forgetAnswer(this.#oldest);
    }
  }

  /** Sends kept answers again and tells what is missing or gone. */
  probe(floor: number, next: number): Pick<ProgressMessage, 'missing' | 'forgotten'> {
    this.#raiseFloor(floor);
    this.#admitHeld();
    const missing: number[] = [];
    const forgotten: number[] = [];
    for (let seq = this.#floor; seq < Math.min(next, floor + PROBED_CALLS_MAX); seq += 1) {
      const known = this.#calls.get(seq) ?? this.#held.get(seq);
      if (known instanceof Uint8Array) this.#resend(known);
      else if (known === undefined) (seq < this.#next ? forgotten : missing).push(seq);
    }
    return { missing, forgotten };
  }

  /** Tells every call that waits or runs that nobody wants it any more. */
  cancelAll(): void {
    const calls = [...this.#open(), ...this.#held.values()];
    for (const { message } of calls) this.cancel(message.seq);
  }

  #admit(call: ReceivedCall): void {
    this.#calls.set(call.message.seq, call);
    this.#next = call.message.seq + 1;
    this.#run(call);
  }

  #admitHeld(): void {
    if (this.#held.size === 0) return;
    for (let call = this.#held.get(this.#next); call; call = this.#held.get(this.#next)) {
      this.#held.delete(call.message.seq);
      this.#admit(call);
    }
  }

  #raiseFloor(floor: number): void {
    // None from `next` on is known, however far a foreign floor leaps.
    for (let seq = this.#floor; seq < Math.min(floor, this.#next); seq += 1) {
      const known = this.#calls.get(seq);
      if (known instanceof Uint8Array) this.#replyBytes -= known.length;
      this.#calls.delete(seq);
    }
    if (floor <= this.#floor) return;
    this.#floor = floor;
    this.#oldest = Math.max(this.#oldest, floor);
    if (this.#next >= floor) return;
    this.#next = floor;
    for (const seq of this.#held.keys()) if (seq < floor) this.#held.delete(seq);
  }

  #forgetAnswer(seq: number): void {
    const known = this.#calls.get(seq);
    if (!(known instanceof Uint8Array)) return;
    this.#replyBytes -= known.length;
    this.#calls.delete(seq);
  }

  #open(): readonly ReceivedCall[] {
    return this.#calls
      .valuesInOrder()
      .filter((known): known is ReceivedCall => known instanceof ReceivedCall);
  }
}
