import { mkdir } from 'node:fs/promises';
import { UserInputError } from '../errors.ts';
import { type Corpus, type CorpusManifest, removeManifest, writeManifest } from './corpus.ts';
import { findCachedCorpus, isWorthCaching } from './corpus-cache.ts';
import { type CorpusParts, dealOut, unigramLoss } from './corpus-parts.ts';
import { type CorpusProgress, encodeText, sampleWords } from './corpus-text.ts';
import { listDefaultCorpus } from './default-corpus.ts';
import { listTextSources } from './text-sources.ts';
import { writeTokenShard } from './token-shard.ts';
import { FIRST_MERGE, type Tokenizer } from './tokenizer.ts';
import { writeTokenizer } from './tokenizer-file.ts';
import { trainTokenizer, type WordCounts } from './tokenizer-training.ts';

/** As many as a tokenizer file may have. */
const VOCABULARY_SIZE_MAX = 1 << 20;

export interface CorpusOptions {
  /** Files and folders; absent: the default corpus. */
  readonly paths?: readonly string[];
  /** Word pieces at most, 257 … 2²⁰; a small text has fewer. */
  readonly vocabularySize: number;
  readonly replicas: number;
  /** Share of the tokens that nobody trains on, between 0 and 1, both excluded. */
  readonly heldOutFraction: number;
  /** Each part must have more tokens than this; 1 if absent. */
  readonly tokensMin?: number;
  /** Made if absent; a corpus that is there already is replaced. */
  readonly directory: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CorpusProgress) => void;
}

/**
 * Reads text, trains a tokenizer on it and writes tokenizer, shards and held-out part into
 * `directory`, last the manifest, so that a directory with a manifest is whole. The same text and
 * options give the same bytes.
 * @throws UserInputError when there is no usable text, too little or too much of it, or no room for
 *   the result; RangeError for an option out of its range; the signal's reason when it aborts. What
 *   was in `directory` before is then as it was, unless writing had begun: then it is no corpus.
 */
export async function prepareCorpus(options: CorpusOptions): Promise<Corpus> {
  checkOptions(options);
  const { directory, paths } = options;
  const sources = paths === undefined ? listDefaultCorpus() : await listTextSources(paths);
  const reading = { sources, signal: options.signal, onProgress: options.onProgress };
  // Before the work begins: a folder that can't be made should not cost minutes.
  await orCannotUse(directory, mkdir(directory, { recursive: true }));

  const cached = isWorthCaching(sources)
    ? await findCachedCorpus(sources, sizesOf(options))
    : undefined;
  const restored = await orCannotUse(directory, cached?.restore(directory));
  if (restored !== undefined) return restored;

  const sample = await sampleWords(reading);
  if (isBlank(sample.words)) {
    const where = paths?.join(', ') ?? 'the default corpus';
    throw new UserInputError(
      `there is no text in ${where}, at most white space: give another path`,
    );
  }
  const tokenizer = await trainWithProgress(sample.words, options);
  const tokens = await encodeText(tokenizer, reading);
  const parts = dealOut(tokens, options);
  checkSizes(parts, tokens.length, options);

  // A corpus that is there stays whole until this one is sure to replace it.
  options.signal?.throwIfAborted();
  await orCannotUse(directory, removeManifest(directory));
  const shards: CorpusManifest['shards'] = [];
  for (const [index, blocks] of parts.shards.entries()) {
    options.signal?.throwIfAborted();
    shards.push(await writeTokenShard(directory, `shard-${index + 1}.tokens`, blocks));
  }
  const manifest: CorpusManifest = {
    format: 'codistill-corpus',
    version: 1,
    vocabularySize: tokenizer.vocabularySize,
    bytes: sample.textBytes,
    tokenizer: {
      ...(await writeTokenizer(directory, 'tokenizer.json', tokenizer)),
      trainedOnBytes: sample.sampledBytes,
    },
    shards,
    heldOut: await writeTokenShard(directory, 'held-out.tokens', parts.heldOut),
    unigramLoss: unigramLoss(parts, tokenizer.vocabularySize),
  };
  const corpus = await writeManifest(directory, manifest);
  await cached?.keep(directory, manifest);
  return corpus;
}

/** What decides on a corpus besides its text. */
function sizesOf({ vocabularySize, replicas, heldOutFraction, tokensMin }: CorpusOptions) {
  return { vocabularySize, replicas, heldOutFraction, tokensMin };
}

async function trainWithProgress(
  words: WordCounts,
  { vocabularySize, signal, onProgress }: CorpusOptions,
): Promise<Tokenizer> {
  const report = (done: number, total: number): void => {
    onProgress?.({ phase: 'tokenizer', done, total });
  };
  const tokenizer = await trainTokenizer(words, {
    vocabularySize,
    ...(signal !== undefined && { signal }),
    onProgress: (pieces) => report(pieces, vocabularySize),
  });
  // A small text ends with fewer pieces than were asked for.
  report(tokenizer.vocabularySize, tokenizer.vocabularySize);
  return tokenizer;
}

function checkOptions({ vocabularySize, replicas, heldOutFraction }: CorpusOptions): void {
  const isPieces = Number.isInteger(vocabularySize) && vocabularySize >= FIRST_MERGE;
  if (!isPieces || vocabularySize > VOCABULARY_SIZE_MAX) {
    throw new RangeError(
      `vocabularySize is ${vocabularySize}: ` +
        `it takes a whole number of ${FIRST_MERGE} … ${VOCABULARY_SIZE_MAX}`,
    );
  }
  if (!Number.isInteger(replicas) || replicas < 1) {
    throw new RangeError(`replicas is ${replicas}: it takes a whole number from 1 on`);
  }
  if (!(heldOutFraction > 0 && heldOutFraction < 1)) {
    throw new RangeError(`heldOutFraction is ${heldOutFraction}: it lies between 0 and 1`);
  }
}

function isBlank(words: WordCounts): boolean {
  for (const [word] of words) {
    if (word.trim() !== '') return false;
  }
  return true;
}

function checkSizes(parts: CorpusParts, tokenCount: number, options: CorpusOptions): void {
  const { replicas, heldOutFraction, tokensMin = 1 } = options;
  const sizes = [parts.heldOut, ...parts.shards].map((blocks) =>
    blocks.reduce((sum, block) => sum + block.length, 0),
  );
  if (Math.min(...sizes) > tokensMin) return;
  const smallestShare = Math.min(heldOutFraction, (1 - heldOutFraction) / replicas);
  const needed = Math.ceil((tokensMin + 1) / smallestShare);
  throw new UserInputError(
    `the text is too small: it has ${tokenCount} tokens, of which the held-out part gets ` +
      `${sizes[0]} and ${replicas} shards ${sizes.slice(1).join(', ')}, but each needs more than ${tokensMin}. ` +
      `Give text of about ${needed} tokens or more, fewer replicas, or a smaller batch or time`,
  );
}

async function orCannotUse<Result>(
  directory: string,
  work: Promise<Result> | undefined,
): Promise<Result | undefined> {
  try {
    return await work;
  } catch (cause) {
    const { message } = cause as Error;
    throw new UserInputError(`can't use the folder ${directory}: ${message}`, { cause });
  }
}
