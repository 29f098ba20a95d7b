import { BusClosedError, MailboxFullError, UnknownMethodError } from '../../errors.ts';
import type { AnyActorDefinition, MethodKind } from '../actor.ts';
import {
  type CallMessage,
  type CancelMessage,
  type Carried,
  type CreditMessage,
  encodeMessage,
  type ItemMessage,
  type ProbeMessage,
  type ReplyMessage,
  type WireMessage,
} from '../wire/wire.ts';
import { toWireError } from '../wire/wire-error.ts';
import type { CallCounters } from './call-counters.ts';
import { type Endpoint, encodeCarrying, openCarried } from './endpoint.ts';
import { type CallPath, packHandles, unpackHandles } from './handle.ts';
import type { Lease } from './lease.ts';
import type { Mailbox } from './mailbox.ts';
import type { Mailboxes } from './mailboxes.ts';
import { ServedCall } from './served-call.ts';
import { type ReceivedCall, Session } from './session.ts';
import { type StreamOutlet, StreamProducer } from './stream-producer.ts';

/** Callers remembered by one actor; beyond, the oldest one without a call in hand is forgotten. */
const SESSIONS_MAX = 4096;
/** Open streams of one actor. */
const STREAMS_MAX = 256;
/** How long a large answer is on offer, even to a caller that waits longer. */
const OFFER_MS_MAX = 300_000;

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
}

interface ServedMethod {
  readonly kind: MethodKind;
  readonly mailbox: Mailbox;
}

/** Takes one actor's calls and streams from its callers, runs them and answers. */
export class CallServer {
  readonly #options: CallServerOptions;
  readonly #methods: ReadonlyMap<string, ServedMethod>;
  readonly #sessions = new Map<string, Session>();
  /** By reader and number of the call: a stream outlives what its session remembers of the call. */
  readonly #streams = new Map<string, StreamProducer>();

  constructor(options: CallServerOptions) {
    this.#options = options;
    const { methods, details } = options.definition;
    this.#methods = new Map(
      Object.entries<MethodKind>(methods).map(([method, kind]) => {
        const { group } = details[method] ?? {};
        return [method, { kind, mailbox: options.mailboxes.of(group) }];
      }),
    );
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

  /** Aborts what runs and ends every stream. */
  close(): void {
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
    const { method, credit } = call.message;
    const served = this.#methods.get(method);
    if (served === undefined || (served.kind === 'stream') !== (credit !== undefined)) {
      this.#answerError(call, this.#unknownMethod(method, served));
    } else if (credit !== undefined) {
      void this.#openStream(call, credit);
    } else if (!served.mailbox.push(() => this.#run(call))) {
      this.#answerError(call, fullMailbox(this.#options.name, served.mailbox.waiting));
    }
  }

  #unknownMethod(method: string, served: ServedMethod | undefined): UnknownMethodError {
    const { name, definition } = this.#options;
    const declared = [...this.#methods.keys()].join(', ');
    const found = served === undefined ? 'not declared' : `declared as ${served.kind}`;
    return new UnknownMethodError(
      `${method} of actor ${name} (${definition.type}) is ${found}; declared are: ${declared}`,
    );
  }

  #run(call: ReceivedCall): Promise<void> | void {
    // The caller has settled this call already; an answer would reach nobody.
    if (call.cancelled) {
      call.state = 'done';
      return;
    }
    const { lease } = this.#options;
    if (!lease.held) return lease.whenHeld().then(() => this.#run(call));
    call.state = 'running';
    const { message } = call;
    if (message.chunks === undefined) return this.#invoke(call, message.value);
    const { timeoutMs } = message;
    this.#options.counters.receivedBytes += message.chunks.byteLength;
    return Promise.resolve(openCarried(this.#options.endpoint.bus, message, { timeoutMs })).then(
      (args) => this.#invoke(call, args),
      (error: unknown) => this.#answerError(call, error),
    );
  }

  /** Settles without a promise when the method is synchronous: that halves the cost of a small call. */
  #invoke(call: ReceivedCall, args: unknown): Promise<void> | void {
    const context = new ServedCall(this.#options.endpoint.clock, call.message.timeoutMs, true);
    call.onCancel = () => context.abort(new Error('the caller gave up'));
    try {
      const result = this.#apply(call.message.method, args, context);
      if (isPromiseLike(result)) return this.#settle(call, result, context);
      this.#finish(context);
      this.#answer(call, result);
    } catch (error) {
      this.#finish(context);
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
      this.#finish(context);
      this.#answer(call, value);
    } catch (error) {
      this.#finish(context);
      this.#answerError(call, error);
    }
  }

  #finish(context: ServedCall): void {
    context.release();
    this.#options.counters.noteDuration(context.elapsedMs);
  }

  #apply(method: string, args: unknown, context: ServedCall): unknown {
    const { instance, path, name } = this.#options;
    const given = unpackHandles(args, path);
    if (!Array.isArray(given)) throw new TypeError(`the arguments of ${method} are no list`);
    const target: unknown = (instance as Record<string, unknown>)[method];
    if (typeof target !== 'function') {
      throw new UnknownMethodError(`actor ${name} declares the method ${method}, but has none`);
    }
    // One parameter more than arguments: the last takes the context. See `Explicit` in handle.ts.
    if (target.length === given.length + 1) given.push(context);
    return Reflect.apply(target, instance, given);
  }

  async #openStream(call: ReceivedCall, credit: number): Promise<void> {
    const { endpoint, name } = this.#options;
    const { timeoutMs } = call.message;
    const context = new ServedCall(endpoint.clock, timeoutMs, false);
    call.state = 'running';
    call.onCancel = () => context.abort(new Error('the reader gave up'));
    try {
      if (this.#streams.size >= STREAMS_MAX) {
        throw new MailboxFullError(
          `actor ${name} serves ${STREAMS_MAX} streams at most; all are open`,
        );
      }
      const args = await openCarried(endpoint.bus, call.message, { timeoutMs });
      const items = this.#apply(call.message.method, args, context) as AsyncIterable<unknown>;
      // Cancelled while its arguments were fetched: the generator has not begun and needs no end.
      if (call.cancelled) return;
      const key = streamKey(call.message);
      const { clock, link } = endpoint;
      const outlet = this.#outlet(call.message, () => {
        this.#streams.delete(key);
        context.abort(new Error('the reader has left the stream'));
      });
      this.#answer(call, undefined);
      this.#streams.set(key, new StreamProducer({ items, credit, outlet, clock, link }));
    } catch (error) {
      this.#answerError(call, error);
    }
  }

  #outlet({ from, seq, timeoutMs }: CallMessage, onClose: () => void): StreamOutlet {
    const of = this.#options.incarnation;
    const send = (bytes: Uint8Array): Uint8Array => {
      this.#publish(from, bytes);
      return bytes;
    };
    return {
      sendItem: (index, value) => {
        const build = (carried: Carried): ItemMessage => ({
          kind: 'item',
          of,
          seq,
          index,
          ...carried,
        });
        return send(this.#encode(value, timeoutMs, build));
      },
      sendEnd: (index, error) => {
        const failure = error === undefined ? {} : { error: toWireError(error) };
        return send(encodeMessage({ kind: 'end', of, seq, index, ...failure }));
      },
      resend: (bytes) => this.#publish(from, bytes),
      onClose,
    };
  }

  #answer(call: ReceivedCall, value: unknown): void {
    const { seq, timeoutMs } = call.message;
    const of = this.#options.incarnation;
    const build = (carried: Carried): ReplyMessage => ({ kind: 'reply', of, seq, ...carried });
    try {
      this.#send(call, this.#encode(value, timeoutMs, build));
      this.#options.counters.done += 1;
    } catch (error) {
      // The method worked, but what it returned can't be sent.
      this.#answerError(call, error);
    }
  }

  #answerError(call: ReceivedCall, thrown: unknown): void {
    const { seq } = call.message;
    const { incarnation: of, counters } = this.#options;
    counters.failed += 1;
    this.#send(call, encodeMessage({ kind: 'reply', of, seq, error: toWireError(thrown) }));
  }

  #send(call: ReceivedCall, reply: Uint8Array): void {
    this.#sessions.get(call.message.from)?.settle(call, reply);
    this.#publish(call.message.from, reply);
  }

  #encode(value: unknown, timeoutMs: number, build: (carried: Carried) => WireMessage): Uint8Array {
    const { endpoint, counters } = this.#options;
    const offerMs = Math.min(timeoutMs, OFFER_MS_MAX);
    const { bytes, frame } = encodeCarrying(endpoint.bus, packHandles(value), offerMs, build);
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
