import { crc32 } from 'node:zlib';
import {
  BusClosedError,
  DamagedDataError,
  DeadlineError,
  NoResponderError,
  PayloadTooLargeError,
} from '../../errors.ts';
import type { Bus, BusMessage } from '../bus/bus.ts';
import { delay } from '../clock.ts';
import { type ChunkRequest, encodeChunkRequest, type NumberedRequest } from './chunk-request.ts';
import { CHUNKS_MAX, IN_FLIGHT_BYTES_MAX } from './chunk-source.ts';
import { type ChunkReference, chunkBytesOn } from './chunks.ts';

/** Small chunks gain nothing from more requests at once. */
const LANES_MAX = 32;
/**
 * Where a bus can't read into a place, what is on the way lies in buffers at both ends: not much beside
 * the value, but enough that the sender never waits on a link of 100 Mbit/s and 160 ms.
 */
const IN_FLIGHT_BYTES_LEAST = 2 << 20;
const IN_FLIGHT_SHARE = 1 / 8;
const FETCH_BYTES_MAX = 4 * 2 ** 30;
/** A chunk with a wrong checksum is fetched again so often. */
const DAMAGE_MAX = 3;
const CONFIRM_ATTEMPTS = 3;
const RETRY_MS = 2_000;
const RETRY_MS_MAX = 15_000;
/** A sender on NATS may just be reconnecting; on one host a silent sender is a dead one. */
const ABSENCE_MS = { memory: 0, local: 0, nats: 3_000, simulated: 3_000 } as const;
const ABSENCE_RETRY_MS = 200;
/** A hub may hear of a reference, which came another way, before it hears that its sender listens. */
const NEARBY_ATTEMPTS = 5;
const NEARBY_RETRY_MS = 20;

export interface FetchOptions {
  /** For the whole value. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** A reference to more is refused: it comes from elsewhere and sizes our buffer. */
  readonly bytesMax?: number;
  /** After this time without an answer a chunk is asked for again; doubles with each attempt. */
  readonly retryMs?: number;
  /** False: the sender keeps the value and needn't hear that it has arrived. Default true. */
  readonly confirm?: boolean;
}

/**
 * The bytes that a reference names, in one buffer of their own. Lost chunks are asked for again.
 *
 * @throws PayloadTooLargeError for more than is taken here, DamagedDataError for a reference or
 * bytes that contradict their checksums, DeadlineError,
 * NoResponderError when the sender took the value back or died, the signal's reason.
 */
export async function fetchChunks(
  bus: Bus,
  reference: ChunkReference,
  options: FetchOptions,
): Promise<Uint8Array> {
  checkReference(reference, options.bytesMax ?? bus.valueBytesMax ?? FETCH_BYTES_MAX);
  const near = reference.hub && (await bus.nearby?.find(reference.hub));
  if (!near) return await fetchOver(bus, reference, options);
  const { subject, byteLength } = reference;
  const nearby = { subject, byteLength, chunkBytes: chunkBytesOn(near) };
  for (let attempt = 1; attempt <= NEARBY_ATTEMPTS; attempt += 1) {
    try {
      return await fetchOver(near, nearby, options);
    } catch (error) {
      if (error instanceof BusClosedError) break;
      if (!(error instanceof NoResponderError)) throw error;
    }
    await delay(bus.clock, NEARBY_RETRY_MS, options.signal);
  }
  return await fetchOver(bus, reference, options);
}

async function fetchOver(
  bus: Bus,
  reference: ChunkReference,
  options: FetchOptions,
): Promise<Uint8Array> {
  const startedAt = bus.clock.now();
  const only = await fetchOnly(bus, reference, options);
  if (only !== undefined) return only;
  const timeoutMs = options.timeoutMs - (bus.clock.now() - startedAt);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const timer = bus.clock.setTimeout(() => {
    const what = `${reference.byteLength} bytes from ${reference.subject}`;
    stop.abort(new DeadlineError(`${what} did not arrive in ${options.timeoutMs} ms.`));
  }, timeoutMs);
  try {
    const fetch = new ChunkFetch(bus, reference, options.retryMs ?? RETRY_MS, signal);
    const bytes = await fetch.run();
    if (options.confirm ?? true) void fetch.confirm();
    return bytes;
  } catch (error) {
    // Ends the requests that are still under way, whose errors nobody needs.
    stop.abort(error);
    throw error;
  } finally {
    timer.cancel();
  }
}

/**
 * One request for a value of one chunk that its sender keeps, without the means to make good a loss:
 * they cost more than the request. Undefined if that was not enough.
 */
async function fetchOnly(
  bus: Bus,
  { subject, byteLength, chunkBytes, crc32: total }: ChunkReference,
  { timeoutMs, retryMs = RETRY_MS, signal, confirm = true }: FetchOptions,
): Promise<Uint8Array | undefined> {
  if (confirm || byteLength > chunkBytes) return undefined;
  const into: Uint8Array = Buffer.allocUnsafeSlow(byteLength);
  const receiver = bus.createInbox();
  const request = { kind: 'chunk', receiver, index: 0, sequence: 1, settledBelow: 1 } as const;
  const limits = { timeoutMs: Math.min(timeoutMs, retryMs), into, ...(signal && { signal }) };
  try {
    const { data } = await bus.request(subject, encodeChunkRequest(request), limits);
    if (data.length !== byteLength || byteLength === 0) return undefined;
    if (total !== undefined && crc32(sumBytes(data)) !== total) return undefined;
    if (data.buffer !== into.buffer) into.set(data);
    return into;
  } catch (error) {
    if (error instanceof DeadlineError || error instanceof NoResponderError) return undefined;
    throw error;
  }
}

type ChunkCheck = (chunk: Uint8Array, index: number) => boolean | Promise<boolean>;

class ChunkFetch {
  readonly #bus: Bus;
  readonly #reference: ChunkReference;
  readonly #retryMs: number;
  readonly #signal: AbortSignal;
  readonly #receiver: string;
  readonly #count: number;
  /** Sequence numbers of requests that are neither answered nor given up. */
  readonly #open = new Set<number>();
  #lastSequence = 0;
  #nextIndex = 0;

  constructor(bus: Bus, reference: ChunkReference, retryMs: number, signal: AbortSignal) {
    this.#bus = bus;
    this.#reference = reference;
    this.#retryMs = retryMs;
    this.#signal = signal;
    this.#receiver = bus.createInbox();
    this.#count = Math.ceil(reference.byteLength / reference.chunkBytes);
  }

  async run(): Promise<Uint8Array> {
    const { byteLength, chunkBytes } = this.#reference;
    const target: Uint8Array = Buffer.allocUnsafeSlow(byteLength);
    const check = this.#createCheck();
    const share = Math.max(byteLength * IN_FLIGHT_SHARE, IN_FLIGHT_BYTES_LEAST);
    const affordable = Math.floor(Math.min(share, IN_FLIGHT_BYTES_MAX) / chunkBytes);
    const lanes = Math.min(Math.max(1, affordable), LANES_MAX, this.#count);
    await Promise.all(Array.from({ length: lanes }, () => this.#fillInTurn(target, check)));
    this.#signal.throwIfAborted();
    return target;
  }

  /** Tells the sender that it may forget the value, which is complete whether or not it hears. */
  async confirm(): Promise<void> {
    const request = encodeChunkRequest({ kind: 'finished', receiver: this.#receiver });
    for (let attempt = 0; attempt < CONFIRM_ATTEMPTS; attempt += 1) {
      try {
        await this.#bus.request(this.#reference.subject, request, { timeoutMs: this.#retryMs });
        return;
      } catch (error) {
        // Without a responder the sender already knows, or is gone.
        if (!(error instanceof DeadlineError)) return;
      }
    }
  }

  /** Whether a chunk is what it should be. The sums travel beside the first chunks. */
  #createCheck(): ChunkCheck {
    const { crc32: total } = this.#reference;
    if (total === undefined) return () => true;
    // The sum over one sum needs no other.
    if (this.#count === 1) return (chunk) => crc32(sumBytes(chunk)) === total;
    const request = { kind: 'sums', receiver: this.#receiver } as const;
    const sums = this.#fetchChecked(
      () => request,
      (data) => data.length === this.#count * 4 && crc32(data) === total,
    ).then((data) => Buffer.from(data));
    // Each lane fails with it.
    sums.catch(() => undefined);
    return async (chunk, index) => crc32(chunk) === (await sums).readUInt32LE(index * 4);
  }

  /** One lane: takes the next chunk that no lane has taken, until none is left. */
  async #fillInTurn(target: Uint8Array, check: ChunkCheck): Promise<void> {
    const { chunkBytes, byteLength } = this.#reference;
    while (this.#nextIndex < this.#count) {
      const index = this.#nextIndex;
      this.#nextIndex += 1;
      this.#signal.throwIfAborted();
      const start = index * chunkBytes;
      const place = target.subarray(start, Math.min(start + chunkBytes, byteLength));
      const chunk = await this.#fetchChecked(
        () => this.#chunkRequest(index),
        (data) => data.length === place.length && check(data, index),
        place,
      );
      const inPlace = chunk.buffer === place.buffer && chunk.byteOffset === place.byteOffset;
      if (!inPlace) place.set(chunk);
    }
  }

  #chunkRequest(index: number): NumberedRequest {
    this.#lastSequence += 1;
    const sequence = this.#lastSequence;
    const [oldest = sequence] = this.#open;
    this.#open.add(sequence);
    return { kind: 'chunk', receiver: this.#receiver, index, sequence, settledBelow: oldest };
  }

  async #fetchChecked(
    nextRequest: () => ChunkRequest,
    isWhole: (data: Uint8Array) => boolean | Promise<boolean>,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    let retryMs = this.#retryMs;
    for (let damage = 0; damage < DAMAGE_MAX; ) {
      const message = await this.#ask(nextRequest(), retryMs, into);
      // Nothing instead of bytes: a source that lasts has them no more.
      if (message?.data.length === 0 && this.#count > 0) throw withdrawn(this.#reference.subject);
      if (message && (await isWhole(message.data))) return message.data;
      if (message) damage += 1;
      else retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    }
    throw new DamagedDataError(
      `What ${this.#reference.subject} sent contradicts its checksum ${DAMAGE_MAX} times.`,
    );
  }

  /** Undefined when no answer came in time; the fetch's own deadline bounds the attempts. */
  async #ask(
    request: ChunkRequest,
    timeoutMs: number,
    into: Uint8Array | undefined,
  ): Promise<BusMessage | undefined> {
    const options = { timeoutMs, signal: this.#signal, ...(into && { into }) };
    const { subject } = this.#reference;
    let absentMs = 0;
    try {
      for (;;) {
        try {
          return await this.#bus.request(subject, encodeChunkRequest(request), options);
        } catch (error) {
          if (!(error instanceof NoResponderError)) throw error;
          if (absentMs >= ABSENCE_MS[this.#bus.kind]) throw withdrawn(subject, error);
          await delay(this.#bus.clock, ABSENCE_RETRY_MS, this.#signal);
          absentMs += ABSENCE_RETRY_MS;
        }
      }
    } catch (error) {
      if (error instanceof DeadlineError && !this.#signal.aborted) return undefined;
      throw this.#signal.aborted ? this.#signal.reason : error;
    } finally {
      if (request.kind === 'chunk') this.#open.delete(request.sequence);
    }
  }
}

function sumBytes(chunk: Uint8Array): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(chunk));
  return sum;
}

function checkReference(reference: ChunkReference, bytesMax: number): void {
  const { byteLength, chunkBytes, crc32: sum } = reference;
  const whole = [byteLength, chunkBytes, sum ?? 0].every((size) => Number.isSafeInteger(size));
  if (!whole || byteLength < 0 || chunkBytes < 1 || byteLength / chunkBytes > CHUNKS_MAX) {
    throw new DamagedDataError(
      `The reference to ${byteLength} bytes in chunks of ${chunkBytes} describes no value.`,
    );
  }
  if (byteLength > bytesMax) {
    throw new PayloadTooLargeError(
      `A value of ${byteLength} bytes was announced; at most ${bytesMax} are taken here. Send it in ` +
        "parts, or raise the receiver's valueBytesMax (of its NATS options).",
    );
  }
}

function withdrawn(subject: string, cause?: Error): NoResponderError {
  const text = `The sender of the value at ${subject} took it back or died.`;
  return new NoResponderError(text, cause && { cause });
}
