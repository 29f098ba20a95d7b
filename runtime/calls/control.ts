import { BusClosedError, DamagedDataError, DeadlineError, NoResponderError } from '../../errors.ts';
import type { Bus, BusMessage, SubscribeOptions, Subscription } from '../bus/bus.ts';
import { delay } from '../clock.ts';
import { decodeMessage, encodeMessage, type WireMessage } from '../wire/wire.ts';
import { fromWireError, toWireError } from '../wire/wire-error.ts';
import { type Endpoint, encodeCarrying, type Parcel } from './endpoint.ts';

/** One attempt of a request; a lost one is noticed and sent again after this. */
const ATTEMPT_MS = 10_000;
/** However short the time: that one message was lost must not cost the request. */
const ATTEMPTS_LEAST = 4;
/** A listener may not be known everywhere in a cluster at once: ask again before believing that. */
const NO_RESPONDER_GRACE_MS = 1_000;
const NO_RESPONDER_PAUSE_MS = 100;
/** Requests with a large value whose answers are kept, in case they come again. */
const ANSWERS_KEPT = 64;

export interface ControlOptions {
  /** For all attempts together. */
  readonly timeoutMs: number;
  /** A far side that listens no more may be reconnecting; it is waited for so long. Default 1 s. */
  readonly absentMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * A request to a node, a process or an actor's system lane, repeated while it seems lost. Whoever
 * answers must therefore treat a repetition as the same request.
 * @throws DeadlineError, NoResponderError, BusClosedError, or the error that the far side answers.
 */
export async function requestControl<Kind extends WireMessage['kind']>(
  endpoint: Endpoint,
  subject: string,
  answerKind: Kind,
  parcel: Parcel,
  { timeoutMs, absentMs = NO_RESPONDER_GRACE_MS, signal }: ControlOptions,
): Promise<Extract<WireMessage, { kind: Kind }>> {
  const { bus, clock, link } = endpoint;
  const giveUpAt = clock.now() + timeoutMs;
  let unansweredSince: number | undefined;
  try {
    for (;;) {
      const remainingMs = Math.max(1, giveUpAt - clock.now());
      const attemptMs = Math.min(ATTEMPT_MS, timeoutMs / ATTEMPTS_LEAST, remainingMs);
      const options = { timeoutMs: attemptMs, ...(signal && { signal }) };
      const answer = await bus.request(subject, parcel.bytes, options).catch(lostOnly);
      // What the far side answers is final, a deadline of its own included.
      if ('data' in answer) return readAnswer(answer, answerKind);
      if (remainingMs <= attemptMs) throw answer;
      if (answer instanceof NoResponderError && link.connected) {
        unansweredSince ??= clock.now();
        if (clock.now() - unansweredSince >= absentMs) throw answer;
      } else {
        unansweredSince = undefined;
      }
      await delay(clock, NO_RESPONDER_PAUSE_MS, signal);
    }
  } finally {
    parcel.cancel?.();
  }
}

function lostOnly(error: unknown): DeadlineError | NoResponderError {
  if (error instanceof DeadlineError || error instanceof NoResponderError) return error;
  throw error;
}

type Answer = (message: WireMessage) => Promise<WireMessage | undefined> | WireMessage | undefined;

/** An answer whose value is too large for one message offers it in chunks. */
function encodeAnswer(bus: Bus, answer: WireMessage): Uint8Array {
  if (answer.kind !== 'inspection') return encodeMessage(answer);
  return encodeCarrying(bus, answer, ATTEMPT_MS).bytes;
}

/**
 * Answers control requests with what `answer` returns; what it throws goes back as `failed`, and
 * `undefined` is no answer.
 */
export function serveControl(
  bus: Bus,
  subject: string,
  answer: Answer,
  options?: SubscribeOptions,
): Subscription {
  /** By where the value is fetched: a request that comes again must not fetch it again. */
  const large = new Map<string, Promise<WireMessage | undefined>>();
  const answerOnce = (message: WireMessage): ReturnType<Answer> => {
    const key = 'chunks' in message ? message.chunks?.subject : undefined;
    if (key === undefined) return answer(message);
    const known = large.get(key);
    if (known !== undefined) return known;
    const answered = Promise.resolve(answer(message));
    large.set(key, answered);
    const [oldest] = large.keys();
    if (large.size > ANSWERS_KEPT) large.delete(oldest!);
    return answered;
  };
  const serve = async ({ data, replySubject }: BusMessage): Promise<void> => {
    const reply = await readAndAnswer(data, answerOnce);
    if (reply !== undefined) answerOn(bus, replySubject, reply);
  };
  return bus.subscribe(subject, (message) => void serve(message), options);
}

/** An answer to whoever awaits one. */
export function answerOn(bus: Bus, replySubject: string | undefined, answer: WireMessage): void {
  if (replySubject === undefined) return;
  try {
    bus.publish(replySubject, encodeAnswer(bus, answer));
  } catch (error) {
    // Closed while we worked: nobody is left to answer.
    if (!(error instanceof BusClosedError)) throw error;
  }
}

async function readAndAnswer(data: Uint8Array, answer: Answer): Promise<WireMessage | undefined> {
  try {
    return await answer(decodeMessage(data));
  } catch (error) {
    return { kind: 'failed', error: toWireError(error) };
  }
}

function readAnswer<Kind extends WireMessage['kind']>(
  answer: BusMessage,
  kind: Kind,
): Extract<WireMessage, { kind: Kind }> {
  const message = decodeMessage(answer.data);
  if (message.kind === 'failed') throw fromWireError(message.error);
  if (message.kind !== kind) {
    throw new DamagedDataError(`expected the answer "${kind}", got "${message.kind}"`);
  }
  return message as Extract<WireMessage, { kind: Kind }>;
}
