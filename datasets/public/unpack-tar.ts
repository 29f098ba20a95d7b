import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DamagedDataError } from '../../errors.ts';
import { cannotWrite } from '../atomic-file.ts';
import { ByteReader } from '../byte-reader.ts';

const BLOCK_BYTES = 512;
const PIECE_BYTES = 1 << 20;

/**
 * Unpacks the named files of a `.tar` or `.tar.gz` into `folder`, whatever folder they have inside.
 * All else in the archive is passed over: nothing in it decides where something is written.
 * @throws DamagedDataError when the archive is damaged or lacks one of them; UserInputError when it
 *   can't be read or one can't be written.
 */
export async function unpackTar(
  archive: string,
  folder: string,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const reader = await ByteReader.open(archive);
  const left = new Set(names);
  try {
    while (left.size > 0) {
      signal?.throwIfAborted();
      const header = await reader.take(BLOCK_BYTES);
      // Two empty blocks end an archive; one is enough to know.
      if (header === undefined || header.every((byte) => byte === 0)) break;
      const { name, size, isFile } = parseHeader(archive, header);
      const wanted = isFile && left.delete(basename(name));
      const pieces = readPieces(reader, size, signal);
      if (wanted) await write(join(folder, basename(name)), pieces);
      else for await (const _ of pieces);
      await reader.take((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
    }
  } finally {
    await reader.close();
  }
  if (left.size > 0) throw new DamagedDataError(`${archive} lacks ${[...left].join(', ')}`);
}

function parseHeader(
  archive: string,
  header: Uint8Array,
): { readonly name: string; readonly size: number; readonly isFile: boolean } {
  const text = (from: number, length: number): string =>
    Buffer.from(header.subarray(from, from + length))
      .toString('latin1')
      .replace(/\0.*$/s, '');
  // The checksum is that of the header with blanks in the checksum's place.
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  const size = Number.parseInt(text(124, 12).trim() || '0', 8);
  if (Number.parseInt(text(148, 8).trim(), 8) !== sum || !Number.isSafeInteger(size)) {
    throw new DamagedDataError(`${archive} is no tar archive, or damaged`);
  }
  const type = String.fromCharCode(header[156]!);
  return { name: text(0, 100), size, isFile: type === '0' || type === '\0' };
}

async function* readPieces(
  reader: ByteReader,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0; ) {
    signal?.throwIfAborted();
    const piece = await reader.take(Math.min(left, PIECE_BYTES));
    if (piece === undefined) throw new DamagedDataError(`${reader.path} ends too early`);
    yield piece;
    left -= piece.length;
  }
}

async function write(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const draft = `${path}.part`;
  try {
    await pipeline(Readable.from(pieces), createWriteStream(draft));
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true });
    const { syscall } = cause as NodeJS.ErrnoException;
    throw syscall === undefined ? cause : cannotWrite(path, cause);
  }
}
