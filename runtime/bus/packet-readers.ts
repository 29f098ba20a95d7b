import { type PacketHead, readPacketHead } from './local-wire.ts';

const SCRATCH_BYTES = 64 << 10;
/** What is read ahead of a large payload's head has to be copied into its place. */
const LARGE_BYTES = 16 << 10;
const SCRATCH_BYTES_BEFORE_LARGE = 2 << 10;
const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * Splits a stream into packets whose payload stays in the pieces that it came in: the hub passes
 * them on and never needs them joined.
 */
export class PieceReader {
  readonly #payloadBytesMax: number;
  readonly #receive: (head: PacketHead, pieces: readonly Uint8Array[]) => void;
  /** The start of a head that is not complete yet. */
  #rest: Buffer = NO_BYTES;
  #head: PacketHead | undefined;
  #pieces: Uint8Array[] = [];
  #missingBytes = 0;

  constructor(
    payloadBytesMax: number,
    receive: (head: PacketHead, pieces: readonly Uint8Array[]) => void,
  ) {
    this.#payloadBytesMax = payloadBytesMax;
    this.#receive = receive;
  }

  /** @throws RangeError saying what is wrong with foreign bytes; nothing can be read after it. */
  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = NO_BYTES;
    let position = 0;
    while (position < bytes.length) {
      if (!this.#head) {
        const head = readPacketHead(bytes, position, bytes.length, this.#payloadBytesMax);
        if (!head) {
          // Copied: a slice would hold the whole chunk, and heads are small.
          this.#rest = Buffer.from(bytes.subarray(position));
          return;
        }
        position += head.headBytes;
        this.#head = head;
        this.#missingBytes = head.payloadBytes;
      }
      if (this.#missingBytes > 0) {
        const piece = bytes.subarray(position, position + this.#missingBytes);
        if (piece.length > 0) this.#pieces.push(piece);
        position += piece.length;
        this.#missingBytes -= piece.length;
      }
      if (this.#missingBytes === 0) this.#finish(this.#head);
    }
  }

  #finish(head: PacketHead): void {
    const pieces = this.#pieces;
    this.#head = undefined;
    this.#pieces = [];
    this.#receive(head, pieces);
  }
}

/**
 * Splits a stream into packets whose payload is one piece at a multiple of 8 in its buffer. The
 * socket reads the rest of a large payload straight into its place: `buffer()` says where the next
 * bytes belong, `received(n)` that they have come.
 */
export class InPlaceReader {
  readonly #payloadBytesMax: number;
  readonly #place: (head: PacketHead) => Uint8Array | undefined;
  readonly #receive: (head: PacketHead, payload: Uint8Array) => void;
  readonly #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #scratchEnd = 0;
  #head: PacketHead | undefined;
  #payload: Buffer = NO_BYTES;
  #payloadEnd = 0;
  /** A large payload is seldom alone. */
  #expectsLarge = false;

  /**
   * @param place where a payload is wanted, of its very length; else it gets a buffer of its own.
   */
  constructor(
    payloadBytesMax: number,
    place: (head: PacketHead) => Uint8Array | undefined,
    receive: (head: PacketHead, payload: Uint8Array) => void,
  ) {
    this.#payloadBytesMax = payloadBytesMax;
    this.#place = place;
    this.#receive = receive;
  }

  buffer(): Buffer {
    if (this.#head) return this.#payload.subarray(this.#payloadEnd);
    const end = this.#expectsLarge
      ? Math.min(this.#scratchEnd + SCRATCH_BYTES_BEFORE_LARGE, SCRATCH_BYTES)
      : SCRATCH_BYTES;
    return this.#scratch.subarray(this.#scratchEnd, end);
  }

  /** @throws RangeError saying what is wrong with foreign bytes; nothing can be read after it. */
  received(bytes: number): void {
    if (this.#head) {
      this.#payloadEnd += bytes;
      if (this.#payloadEnd === this.#payload.length) this.#finish(this.#head);
      return;
    }
    this.#scratchEnd += bytes;
    let position = 0;
    for (;;) {
      const head = readPacketHead(this.#scratch, position, this.#scratchEnd, this.#payloadBytesMax);
      if (!head) break;
      position += head.headBytes;
      const present = Math.min(head.payloadBytes, this.#scratchEnd - position);
      // Node's pool is 8-byte-aligned; the scratch buffer is used again, so bytes must leave it.
      this.#payload = asBuffer(this.#place(head)) ?? Buffer.allocUnsafe(head.payloadBytes);
      this.#scratch.copy(this.#payload, 0, position, position + present);
      position += present;
      if (present < head.payloadBytes) {
        this.#head = head;
        this.#payloadEnd = present;
        break;
      }
      this.#finish(head);
    }
    this.#scratch.copyWithin(0, position, this.#scratchEnd);
    this.#scratchEnd -= position;
  }

  /** For runtimes whose sockets can't read in place. */
  push(chunk: Uint8Array): void {
    for (let position = 0; position < chunk.length; ) {
      const target = this.buffer();
      const part = chunk.subarray(position, position + target.length);
      target.set(part);
      position += part.length;
      this.received(part.length);
    }
  }

  #finish(head: PacketHead): void {
    const payload = this.#payload;
    this.#head = undefined;
    this.#payload = NO_BYTES;
    this.#expectsLarge = payload.length >= LARGE_BYTES;
    this.#receive(head, payload);
  }
}

function asBuffer(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
