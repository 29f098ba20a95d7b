import { readdir, realpath, stat } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { UserInputError } from '../errors.ts';
import { orUnreadable, readChunks } from './file-chunks.ts';
import { jsonLinesDocuments } from './json-lines.ts';

/** A file to read text from. */
export interface TextSource {
  readonly path: string;
  /** On disk; a compressed file holds more text. */
  readonly bytes: number;
}

/** A stretch of one document, cut after a line where there is one. */
export interface TextPiece {
  readonly text: string;
  /** Whether the document ends with this piece. */
  readonly last: boolean;
  /** How much of the file, as it is on disk, has been read so far. */
  readonly bytesRead: number;
}

/**
 * A longer document comes in pieces of at most so many characters, so that memory does not grow
 * with it.
 */
const PIECE_CHARACTERS_MAX = 1 << 20;
/** Old texts have a few garbled characters; with more than these a file is no UTF-8 text. */
const GARBLED_CHARACTERS_MIN = 8;
const GARBLED_SHARE_MAX = 0.02;

/**
 * The files under `paths`, folders with all that is in them but hidden files, sorted by path so
 * that each machine sees one order; a file that is given twice is read once.
 * @throws UserInputError for a path that is missing, unreadable or holds no file.
 */
export async function listTextSources(paths: readonly string[]): Promise<readonly TextSource[]> {
  if (paths.length === 0) throw new UserInputError('no path was given: name a file or a folder');
  const sources: TextSource[] = [];
  const found = new Map<string, number>();
  for (const path of paths) {
    if (path === '') throw new UserInputError('a path is empty: name a file or a folder');
    if ((await addFiles(normalize(path), sources, found)) > 0) continue;
    throw new UserInputError(
      `the folder ${path} has no files (hidden ones don't count): name one with text`,
    );
  }
  return sources.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * The text of one file: `.gz` is unpacked, each line of `.jsonl` (also `.jsonl.gz`) is a document
 * with its text in `text` or `content`, anything else is one document. Byte order marks go, CRLF
 * becomes LF.
 * @throws UserInputError when the file can't be read or is not text.
 */
export async function* readTextPieces(source: TextSource): AsyncGenerator<TextPiece> {
  const pieces = decodePieces(source);
  if (/\.jsonl(\.gz)?$/i.test(source.path)) yield* jsonLinesDocuments(source.path, pieces);
  else yield* pieces;
}

/**
 * Adds the files at `path` that were not `found` before and returns how many there are. `found` has
 * their number by real path, since links may lead in circles or to what is listed already.
 */
async function addFiles(
  path: string,
  sources: TextSource[],
  found: Map<string, number>,
): Promise<number> {
  const info = await orUnreadable(path, stat(path));
  if (!info.isFile() && !info.isDirectory()) {
    throw new UserInputError(`${path} is neither a file nor a folder: name one with text`);
  }
  const real = await orUnreadable(path, realpath(path));
  const before = found.get(real);
  if (before !== undefined) return before;
  let count = 0;
  found.set(real, count);
  if (info.isFile()) {
    sources.push({ path, bytes: info.size });
    count = 1;
  } else {
    for (const name of (await orUnreadable(path, readdir(path))).sort()) {
      if (!name.startsWith('.')) count += await addFiles(join(path, name), sources, found);
    }
  }
  found.set(real, count);
  return count;
}

async function* decodePieces(source: TextSource): AsyncGenerator<TextPiece> {
  const decoder = new TextDecoder();
  let text = '';
  let bytesRead = 0;
  for await (const chunk of readChunks(source)) {
    refuseBinary(source.path, chunk.bytes);
    text += decoder.decode(chunk.bytes, { stream: true });
    // The size that reading began with counts: a file that grows meanwhile is no more than whole.
    bytesRead = Math.min(chunk.bytesRead, source.bytes);
    while (text.length > PIECE_CHARACTERS_MAX) {
      const cut = cutOf(text);
      yield { text: normalise(source.path, text.slice(0, cut)), last: false, bytesRead };
      text = text.slice(cut);
    }
  }
  text += decoder.decode();
  yield { text: normalise(source.path, text), last: true, bytesRead: source.bytes };
}

/** Depends on the text alone and not on how it arrived, so that a file is always cut alike. */
function cutOf(text: string): number {
  const lineEnd = text.lastIndexOf('\n', PIECE_CHARACTERS_MAX - 1) + 1;
  if (lineEnd > 0) return lineEnd;
  // Neither a pair of surrogates nor CRLF may be torn.
  const tears = /[\ud800-\udbff\r]/.test(text.charAt(PIECE_CHARACTERS_MAX - 1));
  return tears ? PIECE_CHARACTERS_MAX - 1 : PIECE_CHARACTERS_MAX;
}

function refuseBinary(path: string, bytes: Uint8Array): void {
  const at = bytes.indexOf(0);
  if (at === -1) return;
  const wide = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  throw new UserInputError(
    wide
      ? `${path} is UTF-16 text: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)`
      : `${path} is not text: it has zero bytes. Give UTF-8 text, .gz or .jsonl`,
  );
}

function normalise(path: string, text: string): string {
  const garbled = text.split('\uFFFD').length - 1;
  if (garbled >= GARBLED_CHARACTERS_MIN && garbled > text.length * GARBLED_SHARE_MAX) {
    throw new UserInputError(
      `${path} is not UTF-8 text: ${garbled} of ${text.length} characters can't be decoded. ` +
        'Convert it to UTF-8 or leave it out',
    );
  }
  return text.replaceAll('\uFEFF', '').replaceAll('\r\n', '\n');
}
