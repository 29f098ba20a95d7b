import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { DamagedDataError, UserInputError } from '../errors.ts';
import { writeAtomically } from './atomic-file.ts';

/** Word pieces in the order of the text. */
export type Tokens = Uint16Array | Uint32Array;

export interface TokenShard {
  readonly path: string;
  readonly tokens: Tokens;
}

/** File: magic, version, bytes per token, CRC-32 of the tokens, their number (u32 each), then the tokens; little-endian. */
const MAGIC = 0x53544443;
const VERSION = 1;
const HEADER_BYTES = 20;

export async function writeTokenShard(path: string, tokens: Tokens): Promise<void> {
  const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const fields = [MAGIC, VERSION, tokens.BYTES_PER_ELEMENT, crc32(bytes), tokens.length];
  for (const [index, value] of fields.entries()) header.setUint32(4 * index, value, true);
  await writeAtomically(path, [new Uint8Array(header.buffer), bytes]);
}

/** @throws UserInputError when there is no such file, DamagedDataError when it is not what was written. */
export async function openTokenShard(path: string): Promise<TokenShard> {
  const file = await readFile(path).catch((cause: unknown) => {
    throw new UserInputError(`can't read the token file ${path}: ${(cause as Error).message}`, {
      cause,
    });
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
  if (body.byteLength !== count * bytesPerToken) {
    throw damaged(
      path,
      `it has ${body.byteLength} bytes of tokens, expected ${count * bytesPerToken}`,
    );
  }
  if (crc32(body) !== checksum) throw damaged(path, 'its checksum is wrong');
  // A copy, since a typed array must begin at a multiple of its element.
  const { buffer } = Uint8Array.from(body);
  const tokens = bytesPerToken === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
  return { path, tokens };
}

function damaged(path: string, reason: string): DamagedDataError {
  return new DamagedDataError(`${path} is damaged: ${reason}. Prepare the data again`);
}
