import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { DamagedDataError } from '../errors.ts';
import { writeAtomically } from './atomic-file.ts';
import type { Tokens } from './token-list.ts';

export interface TokenShard {
  readonly path: string;
  readonly tokens: Tokens;
  /** Of the tokens as they are in the file. */
  readonly crc32: number;
}

/**
 * File: magic, version, bytes per token, CRC-32 of the tokens, their number (u32 each), then the
 * tokens; little-endian.
 */
const MAGIC = 0x53544443;
const VERSION = 1;
const HEADER_BYTES = 20;

/** Writes the tokens of `blocks`, one after the other, to `directory/file`. */
export async function writeTokenShard(
  directory: string,
  file: string,
  blocks: readonly Tokens[],
): Promise<{ file: string; crc32: number; tokenCount: number }> {
  const tokens = joinBlocks(blocks);
  const bytes = new Uint8Array(tokens.buffer);
  const checksum = crc32(bytes);
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const fields = [MAGIC, VERSION, tokens.BYTES_PER_ELEMENT, checksum, tokens.length];
  for (const [index, value] of fields.entries()) header.setUint32(4 * index, value, true);
  await writeAtomically(join(directory, file), [new Uint8Array(header.buffer), bytes]);
  return { file, crc32: checksum, tokenCount: tokens.length };
}

/** @throws DamagedDataError when there is no such file or it is not what was written. */
export async function openTokenShard(path: string): Promise<TokenShard> {
  const file = await readFile(path).catch((cause: unknown) => {
    throw damaged(path, (cause as Error).message, cause);
  });
  if (file.byteLength < HEADER_BYTES) throw damaged(path, 'it is too short');
  const header = new DataView(file.buffer, file.byteOffset, HEADER_BYTES);
  const [magic, version, bytesPerToken, checksum, count] = [0, 4, 8, 12, 16].map((offset) =>
    header.getUint32(offset, true),
  ) as [number, number, number, number, number];
  if (magic !== MAGIC) throw damaged(path, 'it is no token file');
  if (version !== VERSION) throw damaged(path, `it has version ${version}, expected ${VERSION}`);
  if (bytesPerToken !== 2 && bytesPerToken !== 4) {
    throw damaged(path, `it has ${bytesPerToken} bytes per token, expected 2 or 4`);
  }
  const body = file.subarray(HEADER_BYTES);
  const expectedBytes = count * bytesPerToken;
  if (body.byteLength !== expectedBytes) {
    throw damaged(path, `it has ${body.byteLength} bytes of tokens, expected ${expectedBytes}`);
  }
  if (crc32(body) !== checksum) throw damaged(path, 'its checksum is wrong');
  return { path, tokens: tokensIn(body, bytesPerToken), crc32: checksum };
}

function joinBlocks(
  blocks: readonly Tokens[],
): Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const tokens =
    blocks[0] instanceof Uint32Array ? new Uint32Array(length) : new Uint16Array(length);
  let at = 0;
  for (const block of blocks) {
    tokens.set(block, at);
    at += block.length;
  }
  return tokens;
}

/** A view where it is aligned, as a file read whole is; small files may come from a shared pool. */
function tokensIn(body: Uint8Array, bytesPerToken: 2 | 4): Tokens {
  const { buffer, byteOffset, byteLength } =
    body.byteOffset % bytesPerToken === 0 ? body : Uint8Array.from(body);
  const count = byteLength / bytesPerToken;
  return bytesPerToken === 2
    ? new Uint16Array(buffer, byteOffset, count)
    : new Uint32Array(buffer, byteOffset, count);
}

function damaged(path: string, reason: string, cause?: unknown): DamagedDataError {
  return new DamagedDataError(
    `the token file ${path} can't be used: ${reason}. ` +
      'Start a new run, which prepares the data again',
    { cause },
  );
}
