import {
  BusClosedError,
  DamagedDataError,
  DeadlineError,
  NoResponderError,
  PayloadTooLargeError,
} from '../errors.ts';
import type { Bus, BusMessage, Subscription } from './bus.ts';
import { fetchChunks, offerChunks } from './chunks.ts';
import { type Clock, delay } from './clock.ts';
import { decodeFrame, encodeFrame } from './frame.ts';
import { type Carried, decodeMessage, encodeMessage, type WireMessage } from './wire.ts';
import { fromWireError, toWireError } from './wire-error.ts';

/** One attempt of a control request; a lost one is noticed and sent again after this. */
const ATTEMPT_MS = 10_000;
/** A listener may not be known everywhere in a cluster at once: ask again before believing that. */
const NO_RESPONDER_GRACE_MS = 1_000;
const NO_RESPONDER_PAUSE_MS = 100;

/** What the actor runtime knows in each process: its bus, clock and place. */
export interface Endpoint {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly namespace: string;
  readonly nodeId: string;
  readonly link: Link;
}

/** Whether the bus is connected, and since when: silence counts only while we could have heard. */
export interface Link {
  readonly connected: boolean;
  /** On the endpoint's clock. */
  readonly connectedSince: number;
  /** False once the bus is closed for good. */
  readonly usable: boolean;
  close(): void;
}

export function watchLink(bus: Bus, clock: Clock): Link {
  let connected = true;
  let usable = true;
  let connectedSince = clock.now();
  const subscription = bus.onStatus((status) => {
    if (status.type === 'connected') connectedSince = clock.now();
    if (status.type === 'closed') usable = false;
    if (status.type !== 'slow-consumer') connected = status.type === 'connected';
  });
  return {
    get connected() {
      return connected;
    },
    get connectedSince() {
      return connectedSince;
    },
    get usable() {
      return usable;
    },
    close: () => subscription.unsubscribe(),
  };
}

/** An encoded message and how to take back the chunks that it offers. */
export interface Parcel {
  readonly bytes: Uint8Array;
  /** The value's frame, where it is offered in chunks. */
  readonly frame?: Uint8Array;
  readonly cancel?: () => void;
}

/**
 * Encodes the message that `build` makes around `value`, in one piece if the bus carries that,
 * else with the value offered in chunks for `timeoutMs`.
 */
export function encodeCarrying(
  bus: Bus,
  value: unknown,
  timeoutMs: number,
  build: (carried: Carried) => WireMessage,
): Parcel {
  const bytes = encodeMessage(build(value === undefined ? {} : { value }));
  if (bytes.length <= bus.payloadBytesMax) return { bytes };
  const frame = encodeFrame(value);
  const offer = offerChunks(bus, frame, { timeoutMs });
  // Nobody waits for an offer: whoever fetches it answers or fails on their own.
  offer.done.catch(() => {});
  const small = encodeMessage(build({ chunks: offer.reference }));
  if (small.length > bus.payloadBytesMax) {
    offer.cancel();
    throw new PayloadTooLargeError(
      `a message has ${small.length} bytes beside its value; the bus carries ${bus.payloadBytesMax}`,
    );
  }
  return { bytes: small, frame, cancel: () => offer.cancel() };
}

/** The value of a message: at once when it is inside, else a promise. */
export function openCarried(
  bus: Bus,
  carried: Carried,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): unknown | Promise<unknown> {
  if (carried.chunks === undefined) return carried.value;
  return fetchChunks(bus, carried.chunks, options).then(decodeFrame);
}

export interface ControlOptions {
  /** For all attempts together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** How long "nobody listens" is taken for passing; default 1 s. */
  readonly noResponderMs?: number;
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
  encode: () => Parcel,
  options: ControlOptions,
): Promise<Extract<WireMessage, { kind: Kind }>> {
  const { bus, clock, link } = endpoint;
  const giveUpAt = clock.now() + options.timeoutMs;
  let unansweredSince: number | undefined;
  for (;;) {
    const remainingMs = giveUpAt - clock.now();
    const timeoutMs = Math.max(1, Math.min(ATTEMPT_MS, remainingMs));
    const parcel = encode();
    const signal = options.signal && { signal: options.signal };
    try {
      const answer = await bus.request(subject, parcel.bytes, { timeoutMs, ...signal });
      return readAnswer(answer, answerKind);
    } catch (error) {
      const lost = error instanceof DeadlineError || error instanceof NoResponderError;
      if (!lost || remainingMs <= timeoutMs) throw error;
      if (error instanceof NoResponderError && link.connected) {
        unansweredSince ??= clock.now();
        const graceMs = options.noResponderMs ?? NO_RESPONDER_GRACE_MS;
        if (clock.now() - unansweredSince >= graceMs) throw error;
      } else {
        unansweredSince = undefined;
      }
      await delay(clock, NO_RESPONDER_PAUSE_MS, options.signal);
    } finally {
      parcel.cancel?.();
    }
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

/**
 * Answers control requests with what `answer` returns; what it throws goes back as `failed`, and
 * `undefined` is no answer. What can't be decoded is dropped: it is no message of this protocol.
 */
export function serveControl(
  bus: Bus,
  subject: string,
  answer: (message: WireMessage) => Promise<WireMessage | undefined> | WireMessage | undefined,
): Subscription {
  const serve = async (request: BusMessage): Promise<void> => {
    const reply = await readAndAnswer(request, answer);
    if (reply === undefined || request.replySubject === undefined) return;
    try {
      bus.publish(request.replySubject, encodeMessage(reply));
    } catch (error) {
      // Closed while we worked: nobody is left to answer.
      if (!(error instanceof BusClosedError)) throw error;
    }
  };
  return bus.subscribe(subject, (request) => void serve(request));
}

async function readAndAnswer(
  request: BusMessage,
  answer: (message: WireMessage) => Promise<WireMessage | undefined> | WireMessage | undefined,
): Promise<WireMessage | undefined> {
  try {
    return await answer(decodeMessage(request.data));
  } catch (error) {
    return { kind: 'failed', error: toWireError(error) };
  }
}
