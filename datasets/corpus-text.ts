import { UserInputError } from '../errors.ts';
import { readTextPieces, type TextPiece, type TextSource } from './text-sources.ts';
import { TokenList } from './token-list.ts';
import { END_OF_DOCUMENT, type Tokenizer } from './tokenizer.ts';
import { WordCounts } from './tokenizer-training.ts';

export interface CorpusProgress {
  readonly phase: 'read' | 'tokenizer' | 'encode';
  /** Bytes on disk for `read` and `encode`, pieces for `tokenizer`. */
  readonly done: number;
  readonly total: number;
}

export interface ReadingOptions {
  readonly sources: readonly TextSource[];
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: CorpusProgress) => void) | undefined;
}

/** More text than this hardly changes a tokenizer, but costs time and memory. */
const SAMPLE_BYTES_MAX = 16 << 20;
/** All tokens are held in memory, in two or four bytes each, until they are dealt out. */
const TOKENS_MAX = 1 << 29;
/** Reports in a whole phase, roughly: folders may have very many small files. */
const REPORTS = 100;

export interface WordSample {
  readonly words: WordCounts;
  /** Of all the text, in UTF-8. */
  readonly textBytes: number;
  /** Of the text whose words were counted. */
  readonly sampledBytes: number;
}

/**
 * Reads all text once, which shows early what can't be read, and counts words: of a large corpus
 * those of pieces spread evenly over it, some 16 MB.
 */
export async function sampleWords(options: ReadingOptions): Promise<WordSample> {
  const words = new WordCounts();
  const onDisk = options.sources.reduce((sum, source) => sum + source.bytes, 0);
  const share = Math.min(1, SAMPLE_BYTES_MAX / onDisk);
  let textBytes = 0;
  let sampledBytes = 0;
  for await (const { text } of readAll('read', options)) {
    const bytes = Buffer.byteLength(text);
    textBytes += bytes;
    // What is unpacked may be far more than what is on disk, hence the second bound.
    if (sampledBytes > share * textBytes || sampledBytes + bytes > 4 * SAMPLE_BYTES_MAX) continue;
    sampledBytes += bytes;
    words.add(text);
  }
  return { words, textBytes, sampledBytes };
}

/**
 * The tokens of all documents in their order, each with the end-of-document piece after it.
 * @throws UserInputError when they are too many.
 */
export async function encodeText(
  tokenizer: Tokenizer,
  options: ReadingOptions,
): Promise<TokenList> {
  const tokens = new TokenList(tokenizer.vocabularySize);
  for await (const { text, last } of readAll('encode', options)) {
    tokenizer.encodeWords(text, (pieces) => tokens.append(pieces));
    if (last) tokens.append([END_OF_DOCUMENT]);
    if (tokens.length <= TOKENS_MAX) continue;
    throw new UserInputError(
      `the text is too large: it has over ${TOKENS_MAX} tokens. Give fewer files`,
    );
  }
  return tokens;
}

async function* readAll(
  phase: 'read' | 'encode',
  { sources, signal, onProgress }: ReadingOptions,
): AsyncGenerator<TextPiece> {
  const total = sources.reduce((sum, source) => sum + source.bytes, 0);
  let before = 0;
  let reported = 0;
  for (const source of sources) {
    for await (const piece of readTextPieces(source)) {
      signal?.throwIfAborted();
      yield piece;
      const done = before + piece.bytesRead;
      if (done - reported < total / REPORTS) continue;
      reported = done;
      onProgress?.({ phase, done, total });
    }
    before += source.bytes;
  }
  if (reported < total) onProgress?.({ phase, done: total, total });
}
