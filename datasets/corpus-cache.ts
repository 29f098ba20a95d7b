import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, FileCache, sourcesHash } from '../file-cache.ts';
import { writeAtomically } from './atomic-file.ts';
import {
  type Corpus,
  type CorpusManifest,
  manifestName,
  openCorpus,
  removeManifest,
} from './corpus.ts';
import type { TextSource } from './text-sources.ts';

const CACHE_BYTES_MAX = 256 << 20;
/** Less text is prepared as soon as it is looked up; more takes long to hash, and long to read back. */
const TEXT_BYTES_MIN = 1 << 20;
const TEXT_BYTES_MAX = 128 << 20;
const READ_AT_ONCE = 64;

/** A prepared corpus by the text and options that it was made of, in the user's cache. */
export interface CachedCorpus {
  /** Writes the files of the corpus into `directory`; undefined when they aren't in the cache. */
  restore(directory: string): Promise<Corpus | undefined>;
  keep(directory: string, manifest: CorpusManifest): Promise<void>;
}

/** Undefined where nothing is to be cached (see `cacheFolder`), and for text that can't be read: its reader says so. */
export async function findCachedCorpus(
  sources: readonly TextSource[],
  options: Readonly<Record<string, number | undefined>>,
): Promise<CachedCorpus | undefined> {
  const folder = cacheFolder('corpora');
  if (folder === undefined) return undefined;
  const cache = new FileCache(folder, { bytesMax: CACHE_BYTES_MAX });
  const key = await keyOf(sources, options).catch(() => undefined);
  if (key === undefined) return undefined;
  return {
    async restore(directory) {
      const files = await cache.read(key);
      if (files === undefined) return undefined;
      const { [manifestName]: manifest, ...others } = files;
      await removeManifest(directory);
      await Promise.all(
        Object.entries(others).map(([name, bytes]) => writeFile(join(directory, name), bytes)),
      );
      await writeAtomically(join(directory, manifestName), [manifest!]);
      return openCorpus(directory);
    },
    async keep(directory, { tokenizer, shards, heldOut }) {
      const names = [manifestName, ...[tokenizer, ...shards, heldOut].map(({ file }) => file)];
      const files = await Promise.all(names.map((name) => readFile(join(directory, name))));
      await cache.write(key, Object.fromEntries(names.map((name, i) => [name, files[i]!])));
    },
  };
}

export function isWorthCaching(sources: readonly TextSource[]): boolean {
  const bytes = sources.reduce((sum, source) => sum + source.bytes, 0);
  return bytes >= TEXT_BYTES_MIN && bytes <= TEXT_BYTES_MAX;
}

/** Of the texts themselves, in their order: package managers give files dates of their own making. */
async function keyOf(
  sources: readonly TextSource[],
  options: Readonly<Record<string, number | undefined>>,
): Promise<string> {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([options, sourcesHash(new URL('.', import.meta.url))]));
  for (let start = 0; start < sources.length; start += READ_AT_ONCE) {
    const texts = await Promise.all(
      sources.slice(start, start + READ_AT_ONCE).map(({ path }) => readFile(path)),
    );
    for (const text of texts) hash.update(`${text.length}:`).update(text);
  }
  return hash.digest('hex');
}
