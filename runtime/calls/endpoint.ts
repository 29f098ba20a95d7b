import { PayloadTooLargeError } from '../../errors.ts';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import type { Tracing } from '../observe/tracing.ts';
import { fetchChunks } from '../wire/chunk-fetch.ts';
import { offerChunks } from '../wire/chunks.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';
import { encodeMessage, type WireMessage } from '../wire/wire.ts';
import type { Carried } from '../wire/wire-fields.ts';

/** What the actor runtime knows in each process: its bus, clock and place. */
export interface Endpoint {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly namespace: string;
  readonly nodeId: string;
  readonly link: Link;
  /** Present where spans of calls are wanted. */
  readonly tracing?: Tracing | undefined;
}

/** Whether the bus is connected, and since when: silence counts only while we could have heard. */
export interface Link {
  readonly connected: boolean;
  /** On the endpoint's clock. */
  readonly connectedSince: number;
  /** False once the bus is closed for good, or about to be. */
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
    // Slowness and refusals say nothing about the connection.
    if (status.type === 'slow-consumer' || status.type === 'refused') return;
    connected = status.type === 'connected';
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
    close() {
      usable = false;
      subscription.unsubscribe();
    },
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
 * Encodes a message in one piece if the bus carries that, else with its value offered in chunks for
 * `timeoutMs`.
 */
export function encodeCarrying(
  bus: Bus,
  message: WireMessage & Carried,
  timeoutMs: number,
): Parcel {
  const bytes = encodeMessage(message);
  if (bytes.length <= bus.payloadBytesMax) return { bytes };
  const { value, ...rest } = message;
  const frame = encodeFrame(value);
  const offer = offerChunks(bus, frame, { timeoutMs });
  // Nobody waits for an offer: whoever fetches it answers or fails on their own.
  offer.done.catch(() => {});
  const small = encodeMessage({ ...rest, chunks: offer.reference } as WireMessage);
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
