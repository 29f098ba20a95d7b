import { DeadlineError } from '../../errors.ts';
import type { Bus, Subscription } from '../bus/bus.ts';
import { decodeChunkRequest } from './chunk-request.ts';
import { ChunkSource } from './chunk-source.ts';

/** A value of just a chunk's size should not need a second one for what its frame adds. */
const FRAME_ROOM_BYTES = 4 << 10;
/** Larger ones gain nothing over NATS, but are faster over a Unix socket (measured). */
const CHUNK_BYTES = {
  memory: (1 << 20) + FRAME_ROOM_BYTES,
  local: (1 << 20) + FRAME_ROOM_BYTES,
  nats: (256 << 10) + FRAME_ROOM_BYTES,
  simulated: (128 << 10) + FRAME_ROOM_BYTES,
} as const;
/** Plain data that names a value on offer. */
export interface ChunkReference {
  readonly subject: string;
  readonly byteLength: number;
  readonly chunkBytes: number;
  /**
   * Over the CRC-32s of all chunks, 4 little-endian bytes each, and so over the whole. Absent for
   * bytes that never leave their host, where only the kernel carries them.
   */
  readonly crc32?: number;
  /** Of the sender's node: processes of its host get the value there, and unsummed. */
  readonly hub?: string;
}

export interface OfferOptions {
  /** How long the value is on offer. */
  readonly timeoutMs: number;
  readonly chunkBytes?: number;
  /** False: the bytes are not summed, for a bus that doesn't leave the host. Default true. */
  readonly checked?: boolean;
}

export interface ChunkOffer {
  readonly reference: ChunkReference;
  /**
   * Resolves when a receiver has everything. Rejects with DeadlineError when none had in time, and
   * with an AbortError after `cancel`. Nobody has to listen to it.
   */
  readonly done: Promise<void>;
  /** Takes the offer back; a fetch that is under way fails. Idempotent. */
  cancel(): void;
}

/** What one message of the bus carries of a large value. */
export function chunkBytesOn(bus: Bus): number {
  return Math.min(CHUNK_BYTES[bus.kind], bus.payloadBytesMax);
}

/**
 * Offers bytes to whoever gets the reference. They must not change until `done` settles, and are
 * sent piece by piece as the receiver asks for them, at most 4 MB of them on the way to one
 * receiver.
 */
export function offerChunks(bus: Bus, bytes: Uint8Array, options: OfferOptions): ChunkOffer {
  const chunkBytes = options.chunkBytes ?? chunkBytesOn(bus);
  const source = new ChunkSource(bytes, chunkBytes);
  const subject = bus.createInbox();
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  done.catch(() => undefined);
  const settle = (finish: () => void): void => {
    timer.cancel();
    for (const subscription of subscriptions) subscription.unsubscribe();
    finish();
  };
  const timer = bus.clock.setTimeout(() => {
    const what = `${bytes.length} bytes from ${subject}`;
    const error = new DeadlineError(`No receiver fetched ${what} in ${options.timeoutMs} ms.`);
    settle(() => reject(error));
  }, options.timeoutMs);
  const listen = (on: Bus, from: ChunkSource): Subscription =>
    on.subscribe(subject, ({ data, replySubject }) => {
      const request = decodeChunkRequest(data);
      if (request === undefined || replySubject === undefined) return;
      const answer = from.answer(request);
      if (answer !== undefined) on.publish(replySubject, answer);
      if (request.kind === 'finished') settle(resolve);
    });
  const subscriptions = [listen(bus, source)];
  const home = bus.nearby?.home;
  if (home) subscriptions.push(listen(home.bus, new ChunkSource(bytes, chunkBytesOn(home.bus))));
  const checked = options.checked ?? true;
  return {
    reference: {
      subject,
      byteLength: bytes.length,
      chunkBytes,
      ...(checked && { crc32: source.crc32 }),
      ...(home && { hub: home.word }),
    },
    done,
    cancel: () => settle(() => reject(new DOMException('The offer was taken back.', 'AbortError'))),
  };
}
