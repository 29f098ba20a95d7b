/**
 * What a receiver of chunks asks its sender, 13 bytes and the receiver's name:
 * `[u8 kind][u32 index][u32 sequence][u32 settled below]`, little-endian.
 */
export type ChunkRequest =
  /** Answered with the CRC-32 of every chunk, 4 bytes each. */
  | { readonly kind: 'sums'; readonly receiver: string }
  /**
   * Answered with the bytes of chunk `index`. Requests are numbered; all below `settledBelow` have
   * been answered or given up, so their bytes are no longer on the way.
   */
  | {
      readonly kind: 'chunk';
      readonly receiver: string;
      readonly index: number;
      readonly sequence: number;
      readonly settledBelow: number;
    }
  /** The receiver has everything; answered with nothing. */
  | { readonly kind: 'finished'; readonly receiver: string };

export type NumberedRequest = Extract<ChunkRequest, { kind: 'chunk' }>;

const KINDS = ['sums', 'chunk', 'finished'] as const;
const FIXED_BYTES = 13;
const RECEIVER_BYTES_MAX = 256;

export function encodeChunkRequest(request: ChunkRequest): Uint8Array {
  const bytes = Buffer.alloc(FIXED_BYTES + request.receiver.length);
  bytes[0] = KINDS.indexOf(request.kind);
  if (request.kind === 'chunk') {
    bytes.writeUInt32LE(request.index, 1);
    bytes.writeUInt32LE(request.sequence, 5);
    bytes.writeUInt32LE(request.settledBelow, 9);
  }
  bytes.write(request.receiver, FIXED_BYTES, 'latin1');
  return bytes;
}

/** Undefined for bytes that are no request: foreign ones don't deserve an answer. */
export function decodeChunkRequest(data: Uint8Array): ChunkRequest | undefined {
  if (data.length < FIXED_BYTES || data.length > FIXED_BYTES + RECEIVER_BYTES_MAX) return undefined;
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const kind = KINDS[bytes[0]!];
  const receiver = bytes.toString('latin1', FIXED_BYTES);
  if (kind === undefined) return undefined;
  if (kind !== 'chunk') return { kind, receiver };
  const index = bytes.readUInt32LE(1);
  const sequence = bytes.readUInt32LE(5);
  return { kind, receiver, index, sequence, settledBelow: bytes.readUInt32LE(9) };
}
