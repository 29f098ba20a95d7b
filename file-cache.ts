import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';

/** Some files that belong together, by name. */
export type CachedFiles = Readonly<Record<string, Uint8Array>>;

/** Only what the cache itself wrote is read or removed. */
const ENTRY_NAME = /^[0-9a-f]{16,128}\.entry$/;
const DRAFT_NAME = /^[0-9a-f]{16,128}\.[0-9a-f-]{36}\.draft$/;
/** A draft that is older was left behind by a process that ended in mid-write. */
const DRAFT_AGE_MS_MAX = 3_600_000;
const MAGIC = Buffer.from('CDCACHE1');
const HEAD_BYTES = MAGIC.length + 8;

/**
 * Where this user's machine keeps what can be made again, undefined where it is to keep nothing: the variable
 * CODISTILL_CACHE names another folder, or is `off`.
 */
export function cacheFolder(kind: string): string | undefined {
  const chosen = process.env.CODISTILL_CACHE;
  if (chosen === 'off') return undefined;
  const root = chosen || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'codistill');
  return join(root, kind);
}

/** A hash of the contents of a folder of sources: what they made is out of date when they change. */
export function sourcesHash(folder: URL): string {
  const root = fileURLToPath(folder);
  const hash = createHash('sha256');
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[jt]s$/.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort();
  for (const path of files) hash.update(path.slice(root.length)).update(readFileSync(path));
  return hash.digest('hex');
}

/**
 * Files by key on disk, the least recently used given up first. Processes may share it: an entry appears whole or
 * not at all, and one whose checksum is wrong counts as absent. It makes nothing fail: what can't be
 * read is absent, what can't be written is left out.
 */
export class FileCache {
  readonly #folder: string;
  readonly #bytesMax: number;

  constructor(folder: string, options: { readonly bytesMax: number }) {
    this.#folder = folder;
    this.#bytesMax = options.bytesMax;
  }

  /** @param key of lower-case hexadecimal digits, 16 to 128 of them. */
  async read(key: string): Promise<CachedFiles | undefined> {
    const path = this.#pathOf(key);
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes === undefined) return undefined;
    const files = decodeEntry(bytes);
    const now = new Date();
    await (files ? utimes(path, now, now) : rm(path, { force: true })).catch(() => {});
    return files;
  }

  async write(key: string, files: CachedFiles): Promise<void> {
    const path = this.#pathOf(key);
    const draft = join(this.#folder, `${key}.${randomUUID()}.draft`);
    const parts = encodeEntry(files);
    const byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
    if (byteLength > this.#bytesMax) return;
    try {
      // For the user alone, as what lies here is run.
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(draft, parts, { flag: 'wx', mode: 0o600 });
      await rename(draft, path);
      await this.#prune();
    } catch {
      await rm(draft, { force: true }).catch(() => {});
    }
  }

  #pathOf(key: string): string {
    const name = `${key}.entry`;
    if (!ENTRY_NAME.test(name)) throw new RangeError(`'${key}' is no key of a cache.`);
    return join(this.#folder, name);
  }

  async #prune(): Promise<void> {
    const names = await readdir(this.#folder);
    const files = await Promise.all(
      names
        .filter((name) => ENTRY_NAME.test(name) || DRAFT_NAME.test(name))
        .map(async (name) => {
          const path = join(this.#folder, name);
          // Another process may have removed it since.
          const found = await stat(path).catch(() => undefined);
          return { path, draft: DRAFT_NAME.test(name), found };
        }),
    );
    let bytes = 0;
    const newestFirst = files
      .filter(({ found }) => found !== undefined)
      .sort((a, b) => b.found!.mtimeMs - a.found!.mtimeMs);
    for (const { path, draft, found } of newestFirst) {
      bytes += found!.size;
      const stale = draft ? Date.now() - found!.mtimeMs > DRAFT_AGE_MS_MAX : bytes > this.#bytesMax;
      if (stale) await rm(path, { force: true });
    }
  }
}

/** Magic, CRC-32 of what follows it, length of the header (JSON: names and lengths), header, files. */
function encodeEntry(files: CachedFiles): readonly Uint8Array[] {
  const lengths = Object.entries(files).map(([name, bytes]) => [name, bytes.byteLength]);
  const header = Buffer.from(JSON.stringify(lengths));
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32LE(header.byteLength, MAGIC.length + 4);
  const parts = [head, header, ...Object.values(files)];
  const checked = [head.subarray(MAGIC.length + 4), ...parts.slice(1)];
  head.writeUInt32LE(
    checked.reduce((sum, part) => crc32(part, sum), 0),
    MAGIC.length,
  );
  return parts;
}

function decodeEntry(bytes: Buffer): CachedFiles | undefined {
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (bytes.readUInt32LE(MAGIC.length) !== crc32(bytes.subarray(MAGIC.length + 4)))
    return undefined;
  // What has the right checksum was written by `encodeEntry`.
  const headerEnd = HEAD_BYTES + bytes.readUInt32LE(MAGIC.length + 4);
  const lengths = JSON.parse(bytes.toString('utf8', HEAD_BYTES, headerEnd)) as [string, number][];
  let offset = headerEnd;
  return Object.fromEntries(
    lengths.map(([name, length]) => {
      offset += length;
      return [name, bytes.subarray(offset - length, offset)];
    }),
  );
}
