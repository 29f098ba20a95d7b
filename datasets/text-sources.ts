import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { UserInputError } from '../errors.ts';

/** A stretch of one document, cut after a line so that no word is torn. */
export interface TextPiece {
  readonly path: string;
  readonly text: string;
  /** Whether the document ends with this piece. */
  readonly last: boolean;
}

/** A file to read text from. */
export interface TextSource {
  readonly path: string;
  /** On disk; a compressed file holds more text. */
  readonly bytes: number;
}

/** A piece has at least this many characters, if its document does. */
const PIECE_CHARACTERS = 1 << 20;
/** A file without line ends is cut here all the same. */
const PIECE_CHARACTERS_MAX = 8 << 20;
/** Old texts have a few garbled characters; a file with more than these is no UTF-8 text. */
const GARBLED_SHARE_MAX = 0.02;

/**
 * The files under `paths`, folders with all that is in them, sorted by path so that each machine sees one order.
 * @throws UserInputError for a path that is missing, unreadable or holds no file.
 */
export async function listTextSources(paths: readonly string[]): Promise<readonly TextSource[]> {
  const sources: TextSource[] = [];
  for (const path of paths) {
    const found = await filesUnder(path);
    if (found.length === 0) {
      throw new UserInputError(
        `${path} is an empty folder: give a file or a folder with text in it`,
      );
    }
    sources.push(...found);
  }
  const unique = new Map(sources.map((source) => [source.path, source]));
  return [...unique.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * The text of one file: `.gz` is unpacked, each line of `.jsonl` (also `.jsonl.gz`) is a document with its text in
 * `text` or `content`, anything else is one document. Byte order marks go, CRLF becomes LF.
 * @throws UserInputError when the file can't be read or is not text.
 */
export async function* readTextPieces(path: string): AsyncGenerator<TextPiece> {
  const pieces = decodePieces(path);
  if (/\.jsonl(\.gz)?$/.test(path)) yield* jsonlDocuments(path, pieces);
  else yield* pieces;
}

async function filesUnder(path: string): Promise<TextSource[]> {
  const info = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (info.isFile()) return [{ path, bytes: info.size }];
  if (!info.isDirectory()) throw new UserInputError(`${path} is neither a file nor a folder`);
  const names = await readdir(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const nested: TextSource[] = [];
  // Hidden files are an editor's or a tool's, not the user's text.
  for (const name of names.sort()) {
    if (!name.startsWith('.')) nested.push(...(await filesUnder(join(path, name))));
  }
  return nested;
}

async function* decodePieces(path: string): AsyncGenerator<TextPiece> {
  const decoder = new TextDecoder('utf-8', { fatal: false });
  let text = '';
  for await (const bytes of readBytes(path)) {
    if (bytes.includes(0)) {
      throw new UserInputError(
        `${path} is not text: it has NUL bytes. Give UTF-8 text, .gz or .jsonl`,
      );
    }
    text += decoder.decode(bytes, { stream: true });
    if (text.length < PIECE_CHARACTERS) continue;
    const lineEnd = text.lastIndexOf('\n') + 1;
    const cut = lineEnd > 0 ? lineEnd : text.length >= PIECE_CHARACTERS_MAX ? text.length : 0;
    if (cut === 0) continue;
    yield { path, text: normalise(path, text.slice(0, cut)), last: false };
    text = text.slice(cut);
  }
  yield { path, text: normalise(path, text + decoder.decode()), last: true };
}

async function* readBytes(path: string): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const stream = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  // A failure of the file must also end the unpacking that waits for it.
  if (stream !== file) file.on('error', (error) => stream.destroy(error));
  try {
    for await (const bytes of stream) yield bytes as Uint8Array;
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    file.destroy();
  }
}

async function* jsonlDocuments(
  path: string,
  pieces: AsyncGenerator<TextPiece>,
): AsyncGenerator<TextPiece> {
  let rest = '';
  let lineNumber = 0;
  for await (const piece of pieces) {
    const lines = (rest + piece.text).split('\n');
    rest = piece.last ? '' : (lines.pop() as string);
    for (const line of lines) {
      lineNumber++;
      if (line.trim() === '') continue;
      yield { path, text: documentText(path, line, lineNumber), last: true };
    }
  }
}

function documentText(path: string, line: string, lineNumber: number): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new UserInputError(`${path}, line ${lineNumber}, is not JSON`, { cause });
  }
  const { text, content } = (value ?? {}) as { text?: unknown; content?: unknown };
  const document = text ?? content;
  if (typeof document === 'string') return document;
  throw new UserInputError(
    `${path}, line ${lineNumber}, has no text: each line is an object with "text" or "content"`,
  );
}

function normalise(path: string, text: string): string {
  const garbled = text.split('\uFFFD').length - 1;
  if (garbled > 16 && garbled > text.length * GARBLED_SHARE_MAX) {
    throw new UserInputError(
      `${path} is not UTF-8 text: ${garbled} of ${text.length} characters can't be decoded`,
    );
  }
  return text.replaceAll('\uFEFF', '').replaceAll('\r\n', '\n');
}

function unreadable(path: string, cause: unknown): UserInputError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason =
    code === 'ENOENT'
      ? 'there is no such file or folder'
      : code === 'EACCES'
        ? 'reading it is not permitted'
        : message;
  return new UserInputError(`can't read ${path}: ${reason}`, { cause });
}
