import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { DamagedDataError, UserInputError } from '../errors.ts';
import { writeAtomically } from './atomic-file.ts';
import { listDefaultCorpus } from './default-corpus.ts';
import { listTextSources, readTextPieces, type TextSource } from './text-sources.ts';
import { openTokenShard, type Tokens, writeTokenShard } from './token-shard.ts';
import { END_OF_DOCUMENT, type Tokenizer } from './tokenizer.ts';
import { trainTokenizer, WordCounts } from './tokenizer-training.ts';

/** A text made ready for a codistillation group: one shard for each replica and a part that nobody trains on. */
export interface Corpus {
  readonly directory: string;
  readonly vocabularySize: number;
  /** Of text, before it was tokenized. */
  readonly bytes: number;
  readonly shards: readonly TokenFile[];
  readonly heldOut: TokenFile;
  /** Nats per held-out token of the training parts' piece frequencies, each counted once more than seen. */
  readonly unigramLoss: number;
}

export interface TokenFile {
  readonly path: string;
  readonly tokenCount: number;
}

export interface CorpusOptions {
  /** Files and folders; absent: the default corpus. */
  readonly paths?: readonly string[];
  /** Word pieces at most; a small text has fewer. */
  readonly vocabularySize: number;
  readonly replicas: number;
  /** Share of the tokens that nobody trains on. */
  readonly heldOutFraction: number;
  /** Each part must have more tokens than this. */
  readonly tokensMin: number;
  /** Made if absent. */
  readonly directory: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CorpusProgress) => void;
}

export interface CorpusProgress {
  readonly phase: 'read' | 'tokenizer' | 'encode';
  /** Bytes on disk for `read` and `encode`, pieces for `tokenizer`. */
  readonly done: number;
  readonly total: number;
}

/** The tokenizer is trained on no more than this; of a larger corpus every n-th piece of text is taken. */
const TOKENIZER_CHARACTERS_MAX = 16 << 20;
/** Text is dealt out in blocks of this many tokens, so that all parts are drawn from the whole of it. */
const BLOCK_TOKENS_MAX = 16_384;
/** A small text is dealt out in smaller blocks: at least so many for each part. */
const BLOCKS_PER_PART = 20;

const manifestSchema = v.object({
  format: v.literal('codistill-corpus'),
  version: v.literal(1),
  vocabularySize: v.number(),
  bytes: v.number(),
  shards: v.array(v.object({ file: v.string(), tokenCount: v.number() })),
  heldOut: v.object({ file: v.string(), tokenCount: v.number() }),
  unigramLoss: v.number(),
});
type Manifest = v.InferOutput<typeof manifestSchema>;

/**
 * Reads text, trains a tokenizer on it and writes tokenizer, shards and held-out part into `directory`, last the
 * manifest. The same text and options give the same bytes.
 * @throws UserInputError when there is no usable text or not enough of it.
 */
export async function prepareCorpus(options: CorpusOptions): Promise<Corpus> {
  const { directory, paths, vocabularySize } = options;
  const sources = await (paths === undefined ? listDefaultCorpus() : listTextSources(paths));
  await mkdir(directory, { recursive: true });
  const { words, characters } = await countWords(sources, options);
  options.onProgress?.({ phase: 'tokenizer', done: 0, total: vocabularySize });
  const tokenizer = trainTokenizer(words, { vocabularySize });
  const done = tokenizer.vocabularySize;
  options.onProgress?.({ phase: 'tokenizer', done, total: done });
  const tokens = await encodeSources(sources, tokenizer, options);
  const parts = dealOut(tokens, options);
  checkSizes(parts, characters, options);

  await writeAtomically(join(directory, 'tokenizer.json'), [`${JSON.stringify(tokenizer)}\n`]);
  const files = parts.shards.map((_, index) => `shard-${index + 1}.tokens`);
  for (const [index, shard] of parts.shards.entries()) {
    await writeTokenShard(join(directory, files[index] as string), shard);
  }
  await writeTokenShard(join(directory, 'held-out.tokens'), parts.heldOut);
  const manifest: Manifest = {
    format: 'codistill-corpus',
    version: 1,
    vocabularySize: tokenizer.vocabularySize,
    bytes: sources.reduce((sum, source) => sum + source.bytes, 0),
    shards: parts.shards.map((shard, index) => ({
      file: files[index] as string,
      tokenCount: shard.length,
    })),
    heldOut: { file: 'held-out.tokens', tokenCount: parts.heldOut.length },
    unigramLoss: unigramLoss(parts, tokenizer.vocabularySize),
  };
  await writeAtomically(join(directory, MANIFEST), [`${JSON.stringify(manifest, null, 2)}\n`]);
  return corpusOf(directory, manifest);
}

const MANIFEST = 'corpus.json';

/**
 * A corpus that was prepared before. Its token files are checked too.
 * @throws UserInputError when there is none, DamagedDataError when it is not whole.
 */
export async function openCorpus(directory: string): Promise<Corpus> {
  const path = join(directory, MANIFEST);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new UserInputError(`${directory} has no prepared corpus: ${(cause as Error).message}`, {
      cause,
    });
  });
  const corpus = corpusOf(directory, parseManifest(path, text));
  for (const file of [...corpus.shards, corpus.heldOut]) {
    const { tokens } = await openTokenShard(file.path);
    if (tokens.length === file.tokenCount) continue;
    throw new DamagedDataError(
      `${file.path} has ${tokens.length} tokens, ${path} says ${file.tokenCount}`,
    );
  }
  return corpus;
}

function parseManifest(path: string, text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DamagedDataError(`${path} is not JSON`, { cause });
  }
  const parsed = v.safeParse(manifestSchema, value);
  if (parsed.success) return parsed.output;
  throw new DamagedDataError(`${path} is damaged: ${v.summarize(parsed.issues)}`);
}

function corpusOf(directory: string, manifest: Manifest): Corpus {
  const fileOf = (entry: { readonly file: string; readonly tokenCount: number }): TokenFile => ({
    path: join(directory, entry.file),
    tokenCount: entry.tokenCount,
  });
  return {
    directory,
    vocabularySize: manifest.vocabularySize,
    bytes: manifest.bytes,
    shards: manifest.shards.map(fileOf),
    heldOut: fileOf(manifest.heldOut),
    unigramLoss: manifest.unigramLoss,
  };
}

async function countWords(
  sources: readonly TextSource[],
  options: CorpusOptions,
): Promise<{ readonly words: WordCounts; readonly characters: number }> {
  const words = new WordCounts();
  const total = sources.reduce((sum, source) => sum + source.bytes, 0);
  const stride = Math.max(1, Math.ceil(total / TOKENIZER_CHARACTERS_MAX));
  let pieces = 0;
  let characters = 0;
  await eachPiece(sources, 'read', options, (text) => {
    characters += text.length;
    if (pieces++ % stride === 0) words.add(text);
  });
  return { words, characters };
}

async function encodeSources(
  sources: readonly TextSource[],
  tokenizer: Tokenizer,
  options: CorpusOptions,
): Promise<Tokens> {
  const list = new TokenList(tokenizer.vocabularySize);
  await eachPiece(sources, 'encode', options, (text, last) => {
    tokenizer.encode(text, (pieces) => list.append(pieces));
    if (last) list.append([END_OF_DOCUMENT]);
  });
  return list.tokens;
}

async function eachPiece(
  sources: readonly TextSource[],
  phase: 'read' | 'encode',
  { signal, onProgress }: CorpusOptions,
  use: (text: string, last: boolean) => void,
): Promise<void> {
  const total = sources.reduce((sum, source) => sum + source.bytes, 0);
  let done = 0;
  let reported = 0;
  for (const source of sources) {
    for await (const piece of readTextPieces(source.path)) {
      signal?.throwIfAborted();
      use(piece.text, piece.last);
    }
    done += source.bytes;
    // Folders may have thousands of small files; a report for each percent is enough.
    if (done < total && done - reported < total / 100) continue;
    reported = done;
    onProgress?.({ phase, done, total });
  }
}

/** A growing list of tokens that takes two bytes for each where they suffice. */
class TokenList {
  #tokens: Tokens;
  #length = 0;

  constructor(vocabularySize: number) {
    this.#tokens = vocabularySize <= 65_536 ? new Uint16Array(1 << 16) : new Uint32Array(1 << 16);
  }

  get tokens(): Tokens {
    return this.#tokens.subarray(0, this.#length);
  }

  append(pieces: readonly number[]): void {
    if (this.#length + pieces.length > this.#tokens.length) this.#grow(pieces.length);
    for (const piece of pieces) this.#tokens[this.#length++] = piece;
  }

  #grow(by: number): void {
    const capacity = 2 * this.#tokens.length + by;
    const grown =
      this.#tokens instanceof Uint16Array ? new Uint16Array(capacity) : new Uint32Array(capacity);
    grown.set(this.#tokens);
    this.#tokens = grown;
  }
}

interface Parts {
  readonly shards: readonly Tokens[];
  readonly heldOut: Tokens;
}

/** Deals blocks of text in turn: now and then one to the held-out part, the others round the shards. */
function dealOut(tokens: Tokens, options: CorpusOptions): Parts {
  const { replicas, heldOutFraction } = options;
  const heldOutEvery = Math.max(2, Math.round(1 / heldOutFraction));
  const parts = replicas * heldOutEvery;
  const blockTokens = Math.max(
    1,
    Math.min(BLOCK_TOKENS_MAX, Math.floor(tokens.length / (parts * BLOCKS_PER_PART))),
  );
  const blocks: { readonly shards: Tokens[][]; readonly heldOut: Tokens[] } = {
    shards: Array.from({ length: replicas }, () => []),
    heldOut: [],
  };
  for (let block = 0; block * blockTokens < tokens.length; block++) {
    const text = tokens.subarray(block * blockTokens, (block + 1) * blockTokens);
    const turn = Math.floor(block / heldOutEvery);
    // The held-out block is in the middle of its round: the first blocks are often front matter.
    if (block % heldOutEvery === heldOutEvery >> 1) blocks.heldOut.push(text);
    else (blocks.shards[(block + turn) % replicas] as Tokens[]).push(text);
  }
  return { shards: blocks.shards.map(joinBlocks), heldOut: joinBlocks(blocks.heldOut) };
}

function joinBlocks(blocks: readonly Tokens[]): Tokens {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const joined =
    blocks[0] instanceof Uint32Array ? new Uint32Array(length) : new Uint16Array(length);
  let at = 0;
  for (const block of blocks) {
    joined.set(block, at);
    at += block.length;
  }
  return joined;
}

function checkSizes({ shards, heldOut }: Parts, characters: number, options: CorpusOptions): void {
  const smallest = Math.min(heldOut.length, ...shards.map((shard) => shard.length));
  if (smallest > options.tokensMin) return;
  throw new UserInputError(
    `the text is too small: its ${characters} characters give ${options.replicas} shards and a held-out part, ` +
      `of which the smallest has ${smallest} tokens; each needs more than ${options.tokensMin}. ` +
      'Give more text, fewer replicas, a smaller batch or time, or another heldOutFraction',
  );
}

function unigramLoss({ shards, heldOut }: Parts, vocabularySize: number): number {
  const counts = new Float64Array(vocabularySize).fill(1);
  for (const shard of shards) {
    for (const token of shard) counts[token] = (counts[token] as number) + 1;
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  let loss = 0;
  for (const token of heldOut) loss -= Math.log((counts[token] as number) / total);
  return loss / heldOut.length;
}
