import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { UserInputError } from '../errors.ts';

/** A plain file up to this size is read at once: a stream costs ten times as much to set up. */
const READ_AT_ONCE_BYTES_MAX = 1 << 18;

export interface FileChunk {
  readonly bytes: Uint8Array;
  /** How much of the file, as it is on disk, has been read so far. */
  readonly bytesRead: number;
}

/**
 * The bytes of a file, of `.gz` what is packed in it.
 * @throws UserInputError when it can't be read.
 */
export async function* readChunks({
  path,
  bytes,
}: {
  readonly path: string;
  readonly bytes: number;
}): AsyncGenerator<FileChunk> {
  const packed = /\.gz$/i.test(path);
  if (!packed && bytes <= READ_AT_ONCE_BYTES_MAX) {
    yield { bytes: await orUnreadable(path, readFile(path)), bytesRead: bytes };
    return;
  }
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const stream = packed ? file.pipe(createGunzip({ chunkSize: 1 << 18 })) : file;
  // A failure of the file must also end the unpacking that waits for it.
  if (stream !== file) file.on('error', (error) => stream.destroy(error));
  try {
    for await (const chunk of stream) {
      yield { bytes: chunk as Uint8Array, bytesRead: file.bytesRead };
    }
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    file.destroy();
  }
}

/** @throws UserInputError that says why `path` can't be read, when `result` fails. */
export async function orUnreadable<T>(path: string, result: Promise<T>): Promise<T> {
  return await result.catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EACCES: 'reading it is not permitted',
  ELOOP: 'its links lead in a circle',
  Z_DATA_ERROR: 'it is no gzip file, or damaged',
  Z_BUF_ERROR: 'the gzip file ends too early',
};

function unreadable(path: string, cause: unknown): UserInputError {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  return new UserInputError(`can't read ${path}: ${REASONS[code] ?? message}`, { cause });
}
