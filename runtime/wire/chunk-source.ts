import { crc32 } from 'node:zlib';
import type { ChunkRequest, NumberedRequest } from './chunk-request.ts';

/** Far below what a server holds for a slow consumer before it cuts it off. */
export const IN_FLIGHT_BYTES_MAX: number = 4 << 20;
export const CHUNKS_MAX: number = 1 << 16;
const RECEIVERS_MAX = 16;
const NO_BYTES: Uint8Array = new Uint8Array();

/** Bytes as a sequence of chunks, for receivers that ask for one after the other. */
export class ChunkSource {
  readonly #bytes: Uint8Array;
  readonly #chunkBytes: number;
  readonly #count: number;
  readonly #credit: Credit;
  #sums: Buffer | undefined;

  /** @throws RangeError for too many chunks. */
  constructor(bytes: Uint8Array, chunkBytes: number) {
    this.#bytes = bytes;
    this.#chunkBytes = chunkBytes;
    this.#count = Math.ceil(bytes.length / chunkBytes);
    if (this.#count > CHUNKS_MAX) {
      throw new RangeError(`${bytes.length} bytes are over ${CHUNKS_MAX} chunks of ${chunkBytes}.`);
    }
    this.#credit = new Credit(Math.max(1, Math.floor(IN_FLIGHT_BYTES_MAX / chunkBytes)));
  }

  /** Over the CRC-32s of all chunks, 4 little-endian bytes each. */
  get crc32(): number {
    return crc32(this.#sumAll());
  }

  /** What goes back to the receiver; undefined for a request that is not answered. */
  answer(request: ChunkRequest): Uint8Array | undefined {
    if (request.kind === 'sums') return this.#sumAll();
    if (request.kind === 'finished') return NO_BYTES;
    if (request.index >= this.#count) return undefined;
    // Of a single chunk there is not more on the way than that.
    if (this.#count > 1 && !this.#credit.take(request)) return undefined;
    return this.#chunkAt(request.index);
  }

  #sumAll(): Buffer {
    if (this.#sums !== undefined) return this.#sums;
    const sums = Buffer.alloc(this.#count * 4);
    for (let i = 0; i < this.#count; i += 1) sums.writeUInt32LE(crc32(this.#chunkAt(i)), i * 4);
    this.#sums = sums;
    return sums;
  }

  #chunkAt(index: number): Uint8Array {
    return this.#bytes.subarray(index * this.#chunkBytes, (index + 1) * this.#chunkBytes);
  }
}

/** Keeps a receiver, even a defective one, from having more on the way than was agreed. */
class Credit {
  readonly #chunksMax: number;
  /** The answered requests of each receiver that are not settled yet. */
  readonly #answered = new Map<string, Set<number>>();

  constructor(chunksMax: number) {
    this.#chunksMax = chunksMax;
  }

  /** False for a duplicate and for a request without credit: neither is answered. */
  take({ receiver, sequence, settledBelow }: NumberedRequest): boolean {
    let answered = this.#answered.get(receiver);
    if (!answered) {
      answered = new Set();
      this.#answered.set(receiver, answered);
      const [oldest] = this.#answered.keys();
      if (this.#answered.size > RECEIVERS_MAX) this.#answered.delete(oldest!);
    }
    for (const earlier of answered) if (earlier < settledBelow) answered.delete(earlier);
    if (sequence < settledBelow || answered.has(sequence)) return false;
    if (answered.size >= this.#chunksMax) return false;
    answered.add(sequence);
    return true;
  }
}
