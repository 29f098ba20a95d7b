import { BusClosedError, MailboxFullError } from '../../errors.ts';
import type { AnyActorDefinition } from '../actor.ts';
import type { Around } from '../observe/tracing.ts';
import type {
  CallMessage,
  CancelMessage,
  CreditMessage,
  ItemMessage,
  ProbeMessage,
  ReplyMessage,
} from '../wire/call-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import { toWireError } from '../wire/wire-error.ts';
import type { CallCounters } from './call-counters.ts';
import { type Endpoint, encodeCarrying, openCarried } from './endpoint.ts';
import { type CallPath, packHandles } from './handle.ts';
import { KeyedCalls, type KeyedRun } from './keyed-calls.ts';
import type { Lease } from './lease.ts';
import type { Mailboxes } from './mailboxes.ts';
import { ServedCall } from './served-call.ts';
import { type ServedMethod, ServedMethods } from './served-method.ts';
import { type ReceivedCall, Session } from './session.ts';
import { createOutlet } from './stream-outlet.ts';
import { type StreamOutlet, StreamProducer } from './stream-producer.ts';

/** Callers remembered by one actor; beyond, the oldest one without a call in hand is forgotten. */
const SESSIONS_MAX = 4096;
/** Open streams of one actor. */
const STREAMS_MAX = 256;
/** How long a large answer is on offer, even to a caller that waits longer. */
const OFFER_MS_MAX = 300_000;

type Arguments = readonly unknown[];

export interface CallServerOptions {
  readonly endpoint: Endpoint;
  readonly lease: Lease;
  /** What handles inside arguments call through. */
  readonly path: CallPath;
  readonly incarnation: string;
  readonly name: string;
  readonly definition: AnyActorDefinition;
  readonly instance: object;
  readonly mailboxes: Mailboxes;
  readonly counters: CallCounters;
  /** What wants to see calls being served; absent in the ordinary case. */
  readonly around: Around | undefined;
}

/** Takes one actor's calls and streams from its callers, runs them and answers. */
export class CallServer {
  readonly #options: CallServerOptions;
  readonly #methods: ServedMethods;
  readonly #keyed = new KeyedCalls();
  readonly #sessions = new Map<string, Session>();
  /** By reader and number of the call: a stream outlives what its session remembers of the call. */
  readonly #streams = new Map<string, StreamProducer>();
  /** Why nothing is served any more. */
  #closed: Error | undefined;

  constructor(options: CallServerOptions) {
    this.#options = options;
    this.#methods = new ServedMethods(options);
  }

  receive(message: CallMessage | CancelMessage | CreditMessage | ProbeMessage): void {
    switch (message.kind) {
      case 'call':
        this.#session(message.from, message.floor).accept(message);
        break;
      case 'cancel':
        this.#sessions.get(message.from)?.cancel(message.seq);
        this.#streams.get(streamKey(message))?.close();
        break;
      case 'credit': {
        const { received, allowed, resend } = message;
        this.#streams.get(streamKey(message))?.acknowledge(received, allowed, resend);
        break;
      }
      case 'probe': {
        const { from, floor, next } = message;
        const progress = this.#session(from, floor).probe(floor, next);
        const of = this.#options.incarnation;
        this.#publish(from, encodeMessage({ kind: 'progress', of, ...progress }));
      }
    }
  }

  /**
   * Aborts what runs, for that reason, and ends every stream. What fails of it goes unanswered: its
   * callers learn of the actor's end from the owner, and an idempotent call may yet be answered.
   */
  close(reason: Error): void {
    this.#closed = reason;
    for (const session of this.#sessions.values()) session.cancelAll();
    for (const producer of [...this.#streams.values()]) producer.close();
  }

  #session(from: string, floor: number): Session {
    const known = this.#sessions.get(from);
    if (known !== undefined) return known;
    if (this.#sessions.size >= SESSIONS_MAX) this.#evictSession();
    const session = new Session(
      floor,
      (call) => this.#admit(call),
      (reply) => this.#publish(from, reply),
    );
    this.#sessions.set(from, session);
    return session;
  }

  #evictSession(): void {
    for (const [from, session] of this.#sessions) {
      if (!session.quiet) continue;
      this.#sessions.delete(from);
      return;
    }
  }

  #admit(call: ReceivedCall): void {
    const { method, credit, chunks, key } = call.message;
    try {
      const served = this.#methods.find(method, credit !== undefined);
      // Bad input takes no place in the mailbox. What comes in chunks is checked in its turn.
      if (served.input !== undefined && chunks === undefined) {
        call.args = this.#read(call, served, call.message.value);
        if (call.args instanceof Promise) call.args.catch(() => {});
      }
      if (credit !== undefined) void this.#openStream(call, served, credit);
      else if (key === undefined) this.#queue(call, served);
      else this.#queueKeyed(call, served, `${method} ${key}`);
    } catch (error) {
      this.#answerError(call, error);
    }
  }

  #queue(call: ReceivedCall, served: ServedMethod): void {
    if (served.mailbox.push(() => this.#run(call, served))) return;
    this.#answerError(call, fullMailbox(this.#options.name, served.mailbox.waiting));
  }

  /** One run, and one place in the mailbox, for all calls that come with the key. */
  #queueKeyed(call: ReceivedCall, served: ServedMethod, key: string): void {
    const running = this.#keyed.run(key);
    if (running?.join(call)) {
      call.state = 'running';
    } else if (running !== undefined) {
      this.#answerError(call, fullMailbox(this.#options.name, running.calls.length));
    } else if (this.#keyed.answered(key)) {
      this.#answer(call, this.#keyed.answer(key));
    } else {
      this.#keyed.begin(key, call);
      this.#queue(call, served);
    }
  }

  #run(call: ReceivedCall, served: ServedMethod): Promise<void> | void {
    if (call.cancelled) {
      const joined = call.keyed?.wanted();
      if (joined !== undefined) return this.#run(joined, served);
      // The caller has settled this call already; an answer would reach nobody.
      if (call.keyed !== undefined) this.#keyed.forget(call.keyed);
      call.state = 'done';
      return;
    }
    const { lease } = this.#options;
    if (!lease.held) return lease.whenHeld().then(() => this.#run(call, served));
    call.state = 'running';
    try {
      const args = call.args ?? this.#arguments(call, served);
      if (!(args instanceof Promise)) return this.#invoke(call, served, args);
      return args.then(
        // While they came the lease may have lapsed.
        async (given) => {
          if (!lease.held) await lease.whenHeld();
          return this.#invoke(call, served, given);
        },
        (error: unknown) => this.#answerError(call, error),
      );
    } catch (error) {
      this.#answerError(call, error);
    }
  }

  /** A promise when they come in chunks, or a schema is asynchronous. */
  #arguments(call: ReceivedCall, served: ServedMethod): Arguments | Promise<Arguments> {
    const { message } = call;
    if (message.chunks === undefined) return this.#read(call, served, message.value);
    this.#options.counters.receivedBytes += message.chunks.byteLength;
    const { timeoutMs } = message;
    const opened = openCarried(this.#options.endpoint.bus, message, { timeoutMs });
    return Promise.resolve(opened).then((value) => this.#read(call, served, value));
  }

  #read(call: ReceivedCall, served: ServedMethod, packed: unknown): Arguments | Promise<Arguments> {
    return served.read(packed, (reference) => {
      const { timeoutMs } = call.message;
      const signal = (): AbortSignal | undefined => call.context?.signal;
      const reader = this.#options.path.openArgument(reference, { timeoutMs, signal });
      call.adopt(reader);
      return reader;
    });
  }

  /** Settles without a promise when the method is synchronous: that halves the cost of a small call. */
  #invoke(call: ReceivedCall, served: ServedMethod, args: Arguments): Promise<void> | void {
    const context = new ServedCall(this.#options.endpoint.clock, call.message.timeoutMs, true);
    call.context = context;
    const abort = (): void => {
      context.abort(this.#closed ?? new Error('the caller gave up'));
    };
    if (call.keyed === undefined) call.onCancel = abort;
    else call.keyed.onUnwanted = abort;
    try {
      const { around } = this.#options;
      const result =
        around === undefined
          ? served.apply(args, context)
          : around.call(call.message, () => served.apply(args, context));
      if (isPromiseLike(result)) return this.#settle(call, result, context);
      this.#finish(call, context);
      this.#answer(call, result);
    } catch (error) {
      this.#finish(call, context);
      this.#answerError(call, error);
    }
  }

  async #settle(
    call: ReceivedCall,
    result: PromiseLike<unknown>,
    context: ServedCall,
  ): Promise<void> {
    try {
      const value = await result;
      this.#finish(call, context);
      this.#answer(call, value);
    } catch (error) {
      this.#finish(call, context);
      this.#answerError(call, error);
    }
  }

  #finish(call: ReceivedCall, context: ServedCall): void {
    context.release();
    call.closeArgumentStreams();
    this.#options.counters.noteDuration(context.elapsedMs);
  }

  async #openStream(call: ReceivedCall, served: ServedMethod, credit: number): Promise<void> {
    const { endpoint, name } = this.#options;
    const context = new ServedCall(endpoint.clock, call.message.timeoutMs, false);
    call.context = context;
    call.state = 'running';
    call.onCancel = () => context.abort(this.#closed ?? new Error('the reader gave up'));
    try {
      if (this.#streams.size >= STREAMS_MAX) {
        throw new MailboxFullError(
          `actor ${name} serves ${STREAMS_MAX} streams at most; all are open`,
        );
      }
      const args = await (call.args ?? this.#arguments(call, served));
      const { lease } = this.#options;
      if (!lease.held) await lease.whenHeld();
      // Cancelled meanwhile: nothing has begun, so nothing needs an end.
      if (call.cancelled) return;
      const open = () => served.apply(args, context) as AsyncIterable<unknown>;
      const items = this.#options.around?.stream(call.message, open) ?? open();
      const key = streamKey(call.message);
      const { clock, link } = endpoint;
      const outlet = this.#outlet(call.message, () => {
        this.#streams.delete(key);
        context.abort(new Error('the reader has left the stream'));
        call.closeArgumentStreams();
      });
      this.#answer(call, undefined);
      this.#streams.set(key, new StreamProducer({ items, credit, outlet, clock, link }));
    } catch (error) {
      call.closeArgumentStreams();
      this.#answerError(call, error);
    }
  }

  #outlet({ from, seq, timeoutMs }: CallMessage, onClose: () => void): StreamOutlet {
    return createOutlet({
      of: this.#options.incarnation,
      seq,
      encode: (item) => this.#encode(item, timeoutMs),
      publish: (bytes) => this.#publish(from, bytes),
      onClose,
    });
  }

  #answer(call: ReceivedCall, value: unknown): void {
    const { keyed } = call;
    const { seq, timeoutMs } = call.message;
    const of = this.#options.incarnation;
    try {
      if (keyed !== undefined) {
        this.#answerKeyed(keyed, value);
        return;
      }
      this.#send(call, this.#encode({ kind: 'reply', of, seq, value }, timeoutMs));
      this.#options.counters.done += 1;
    } catch (error) {
      // The method worked, but what it returned can't be sent.
      this.#answerError(call, error);
    }
  }

  #answerKeyed(run: KeyedRun, value: unknown): void {
    // Once for all: a reference that moves is released by its first message.
    const packed = packHandles(value, { forMs: OFFER_MS_MAX });
    this.#keyed.keep(run, packed);
    for (const call of run.disband()) this.#answer(call, packed);
  }

  #answerError(call: ReceivedCall, thrown: unknown): void {
    if (call.keyed !== undefined) {
      const { keyed } = call;
      this.#keyed.forget(keyed);
      for (const joined of keyed.disband()) this.#answerError(joined, thrown);
      return;
    }
    const { seq } = call.message;
    const { incarnation: of, counters } = this.#options;
    counters.failed += 1;
    if (this.#closed !== undefined) return;
    this.#send(call, encodeMessage({ kind: 'reply', of, seq, error: toWireError(thrown) }));
  }

  #send(call: ReceivedCall, reply: Uint8Array): void {
    this.#sessions.get(call.message.from)?.settle(call, reply);
    this.#publish(call.message.from, reply);
  }

  #encode(message: ReplyMessage | ItemMessage, timeoutMs: number): Uint8Array {
    const { endpoint, counters } = this.#options;
    const offerMs = Math.min(timeoutMs, OFFER_MS_MAX);
    const value = packHandles(message.value, { forMs: offerMs });
    const packed = value === message.value ? message : { ...message, value };
    const { bytes, frame } = encodeCarrying(endpoint.bus, packed, offerMs);
    if (frame !== undefined) counters.sentBytes += frame.length;
    return bytes;
  }

  #publish(subject: string, bytes: Uint8Array): void {
    this.#options.counters.sentBytes += bytes.length;
    try {
      this.#options.endpoint.bus.publish(subject, bytes);
    } catch (error) {
      // A closed bus ends the actor's process; there is nobody to tell.
      if (!(error instanceof BusClosedError)) throw error;
    }
  }
}

function streamKey({ from, seq }: { readonly from: string; readonly seq: number }): string {
  return `${seq} ${from}`;
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

function fullMailbox(name: string, waiting: number): MailboxFullError {
  return new MailboxFullError(
    `actor ${name} has ${waiting} calls waiting, the most it accepts; await some answers first ` +
      'or spawn it with a larger mailboxMessagesMax',
  );
}
