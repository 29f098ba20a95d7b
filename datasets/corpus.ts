import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { DamagedDataError } from '../errors.ts';
import { readManifestFile, writeManifestFile } from './manifest.ts';
import { openTokenShard } from './token-shard.ts';
import { openTokenizer } from './tokenizer-file.ts';

/**
 * A text made ready for a codistillation group: one shard for each replica and a part that nobody
 * trains on.
 */
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

/** In a corpus's folder, what says that the corpus is whole. */
export const manifestName = 'corpus.json';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Names, not paths: a manifest never leads out of its folder. */
const fileName = v.pipe(v.string(), v.regex(/^[\w-][\w.-]*$/));
const checkedFile = { file: fileName, crc32: count };
const tokenFile = v.object({ ...checkedFile, tokenCount: count });

const manifestSchema = v.object({
  format: v.literal('codistill-corpus'),
  version: v.literal(1),
  vocabularySize: count,
  bytes: count,
  tokenizer: v.object({ ...checkedFile, trainedOnBytes: count }),
  shards: v.array(tokenFile),
  heldOut: tokenFile,
  unigramLoss: v.number(),
});

/** What a prepared corpus consists of, as `corpus.json` in its folder says it. */
export type CorpusManifest = v.InferOutput<typeof manifestSchema>;

/**
 * A corpus that was prepared before, each of its files checked against the manifest.
 * @throws UserInputError when there is none, DamagedDataError when it is not whole.
 */
export async function openCorpus(directory: string): Promise<Corpus> {
  const path = join(directory, manifestName);
  const absent = `${directory} has no prepared corpus`;
  const manifest = await readManifestFile(path, manifestSchema, absent);
  const { tokenizer, shards, heldOut } = manifest;
  const { vocabularySize, crc32 } = await openTokenizer(join(directory, tokenizer.file));
  expectSame(tokenizer.file, 'CRC-32', crc32, tokenizer.crc32);
  expectSame(tokenizer.file, 'pieces', vocabularySize, manifest.vocabularySize);
  for (const { file, tokenCount, crc32 } of [...shards, heldOut]) {
    const shard = await openTokenShard(join(directory, file));
    expectSame(file, 'CRC-32', shard.crc32, crc32);
    expectSame(file, 'tokens', shard.tokens.length, tokenCount);
  }
  return corpusOf(directory, manifest);
}

/** Makes the files in `directory` a corpus: to be called when all of them are written. */
export async function writeManifest(directory: string, manifest: CorpusManifest): Promise<Corpus> {
  await writeManifestFile(join(directory, manifestName), manifest);
  return corpusOf(directory, manifest);
}

/** Before its files are written anew, `directory` is no corpus any more. */
export async function removeManifest(directory: string): Promise<void> {
  await rm(join(directory, manifestName), { force: true });
}

function expectSame(file: string, what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new DamagedDataError(
    `${file} is not the one that ${manifestName} names: ${what} ${found}, expected ${expected}`,
  );
}

function corpusOf(directory: string, manifest: CorpusManifest): Corpus {
  const fileOf = (part: CorpusManifest['heldOut']): TokenFile => ({
    path: join(directory, part.file),
    tokenCount: part.tokenCount,
  });
  const { vocabularySize, bytes, shards, heldOut, unigramLoss } = manifest;
  return {
    directory,
    vocabularySize,
    bytes,
    shards: shards.map(fileOf),
    heldOut: fileOf(heldOut),
    unigramLoss,
  };
}
