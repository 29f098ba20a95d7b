import { mkdir } from 'node:fs/promises';
import { UserInputError } from '../errors.ts';
import { type CorpusManifest, readManifest, writeManifest } from './corpus-manifest.ts';
import { type CorpusParts, dealOut, unigramLoss } from './corpus-parts.ts';
import { type CorpusProgress, encodeText, sampleWords } from './corpus-text.ts';
import { listDefaultCorpus } from './default-corpus.ts';
import { listTextSources } from './text-sources.ts';
import { writeTokenShard } from './token-shard.ts';
import { FIRST_MERGE } from './tokenizer.ts';
import { writeTokenizer } from './tokenizer-file.ts';
import { trainTokenizer } from './tokenizer-training.ts';

/** A text made ready for a codistillation group: one shard for each replica and a part that nobody trains on. */
export interface Corpus {
  readonly directory: string;
  readonly vocabularySize: number;
  /** Of text in UTF-8, before it was tokenized. */
  readonly bytes: number;
  readonly shards: readonly TokenFile[];
  readonly heldOut: TokenFile;
  /** Nats per held-out token of the shards' piece frequencies, each counted once more than seen. */
  readonly unigramLoss: number;
}

export interface TokenFile {
  readonly path: string;
  readonly tokenCount: number;
}

export interface CorpusOptions {
  /** Files and folders; absent: the default corpus. */
  readonly paths?: readonly string[];
  /** Word pieces at most, 257 or more; a small text has fewer. */
  readonly vocabularySize: number;
  readonly replicas: number;
  /** Share of the tokens that nobody trains on, between 0 and 1. */
  readonly heldOutFraction: number;
  /** Each part must have more tokens than this. */
  readonly tokensMin?: number;
  /** Made if absent. */
  readonly directory: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CorpusProgress) => void;
}

/**
 * Reads text, trains a tokenizer on it and writes tokenizer, shards and held-out part into `directory`, last the
 * manifest, so that a directory with a manifest is whole. The same text and options give the same bytes.
 * @throws UserInputError when there is no usable text, not enough of it, or no room for the result.
 */
export async function prepareCorpus(options: CorpusOptions): Promise<Corpus> {
  checkOptions(options);
  const { directory, paths } = options;
  const sources = paths === undefined ? listDefaultCorpus() : await listTextSources(paths);
  const reading = { sources, signal: options.signal, onProgress: options.onProgress };

  const sample = await sampleWords(reading);
  if (sample.textBytes === 0) {
    throw new UserInputError(`there is no text in ${(paths ?? ['the default corpus']).join(', ')}`);
  }
  const tokenizer = await trainWithProgress(sample.words, options);
  const tokens = await encodeText(tokenizer, reading);
  const parts = dealOut(tokens, options);
  checkSizes(parts, tokens.length, options);

  await makeDirectory(directory);
  const shards: CorpusManifest['shards'] = [];
  for (const [index, blocks] of parts.shards.entries()) {
    shards.push(await writeTokenShard(directory, `shard-${index + 1}.tokens`, blocks));
  }
  return await writeManifest(directory, {
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
  });
}

/**
 * A corpus that was prepared before, each of its files checked against the manifest.
 * @throws UserInputError when there is none, DamagedDataError when it is not whole.
 */
export async function openCorpus(directory: string): Promise<Corpus> {
  return await readManifest(directory);
}

async function trainWithProgress(
  words: Parameters<typeof trainTokenizer>[0],
  { vocabularySize, signal, onProgress }: CorpusOptions,
): ReturnType<typeof trainTokenizer> {
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
  if (!Number.isInteger(vocabularySize) || vocabularySize < FIRST_MERGE) {
    throw new UserInputError(
      `vocabularySize is ${vocabularySize}: it takes a whole number from ${FIRST_MERGE} on`,
    );
  }
  if (!Number.isInteger(replicas) || replicas < 1) {
    throw new UserInputError(`replicas is ${replicas}: it takes a whole number from 1 on`);
  }
  if (!(heldOutFraction > 0 && heldOutFraction < 1)) {
    throw new UserInputError(`heldOutFraction is ${heldOutFraction}: it lies between 0 and 1`);
  }
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
    `the text is too small: it has ${tokenCount} tokens, of which the held-out part gets ${sizes[0]} and ` +
      `${replicas} shards ${sizes.slice(1).join(', ')}, but each needs more than ${tokensMin}. ` +
      `Give text of about ${needed} tokens or more, fewer replicas, or a smaller batch or time`,
  );
}

async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
    const { message } = cause as Error;
    throw new UserInputError(`can't make the folder ${directory}: ${message}`, { cause });
  });
}
