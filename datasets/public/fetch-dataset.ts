import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { UserInputError } from '../../errors.ts';
import { writeAtomically } from '../atomic-file.ts';
import { type DownloadProgress, downloadFile } from './download.ts';
import { checkFile } from './file-digest.ts';
import { type PublicDataset, type PublicFile, publicDatasets } from './public-datasets.ts';
import { unpackTar } from './unpack-tar.ts';

export interface FetchOptions {
  /** Made if absent. */
  readonly folder: string;
  /** Another address with the same files; the checksums stay. */
  readonly from?: string;
  /** Of each file. */
  readonly deadlineMs: number;
  readonly idleTimeoutMs?: number;
  readonly attemptsMax?: number;
  readonly signal?: AbortSignal;
  readonly fetch?: typeof globalThis.fetch;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onProgress?: (progress: DownloadProgress & { readonly file: string }) => void;
}

/** What became of one file. */
export interface FetchedFile {
  readonly file: string;
  /** `present`: it was there already. */
  readonly outcome: 'fetched' | 'present';
  readonly bytes: number;
  /** Of what was fetched, before it was unpacked. */
  readonly sha256: string;
  /** Whether its checksum was known beforehand; else `sha256` is merely what was found. */
  readonly verified: boolean;
}

/** In the folder, what says which archives were unpacked there. */
const recordName = 'fetched.json';

const recordSchema = v.record(
  v.string(),
  v.object({
    bytes: v.number(),
    sha256: v.string(),
    unpacked: v.record(v.string(), v.number()),
  }),
);
type FetchRecord = v.InferOutput<typeof recordSchema>;

/** @throws UserInputError that lists what there is, when there is no such data set. */
export function findPublicDataset(name: string): PublicDataset {
  const found = publicDatasets.find((dataset) => dataset.name === name);
  if (found !== undefined) return found;
  const names = publicDatasets.map((dataset) => dataset.name).join(', ');
  throw new UserInputError(`there is no data set '${name}': it is one of ${names}`);
}

/**
 * Fetches the files of a public data set into a folder; those that are there and right stay.
 * @throws as `downloadFile` and `unpackTar` do.
 */
export async function fetchDataset(
  { files }: PublicDataset,
  options: FetchOptions,
): Promise<readonly FetchedFile[]> {
  const { folder } = options;
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    const { message } = cause as Error;
    throw new UserInputError(`can't use the folder ${folder}: ${message}`, { cause });
  }
  const fetched: FetchedFile[] = [];
  for (const file of files) {
    fetched.push(
      (await findPresent(file, folder)) ??
        (file.unpack
          ? await fetchArchive(file, file.unpack, options)
          : await fetchFile(file, options)),
    );
  }
  return fetched;
}

async function findPresent(file: PublicFile, folder: string): Promise<FetchedFile | undefined> {
  const verified = isVerified(file);
  if (file.unpack === undefined) {
    const { bytes, sha256 } = file;
    // What can't be checked is fetched again.
    if (sha256 === undefined || bytes === undefined) return undefined;
    if ((await checkFile(join(folder, file.file), file)) !== undefined) return undefined;
    return { file: file.file, outcome: 'present', bytes, sha256, verified };
  }
  const known = (await readRecord(folder))[file.file];
  if (known === undefined) return undefined;
  for (const name of file.unpack) {
    const size = await sizeOf(join(folder, name));
    if (size === undefined || size !== known.unpacked[name]) return undefined;
  }
  const { bytes, sha256 } = known;
  return { file: file.file, outcome: 'present', bytes, sha256, verified };
}

async function fetchFile(file: PublicFile, options: FetchOptions): Promise<FetchedFile> {
  const { from, folder, onProgress, ...others } = options;
  const url = from === undefined ? file.url : addressIn(from, file.url);
  const { bytes, sha256 } = await downloadFile({
    ...others,
    url,
    path: join(folder, file.file),
    expected: file,
    ...(onProgress && {
      onProgress: (progress) => onProgress({ ...progress, file: file.file }),
    }),
  });
  return { file: file.file, outcome: 'fetched', bytes, sha256, verified: isVerified(file) };
}

async function fetchArchive(
  file: PublicFile,
  names: readonly string[],
  options: FetchOptions,
): Promise<FetchedFile> {
  const { folder, signal } = options;
  const fetched = await fetchFile(file, options);
  const archive = join(folder, file.file);
  await unpackTar(archive, folder, names, signal);
  const sizes = await Promise.all(
    names.map(async (name) => [name, (await stat(join(folder, name))).size] as const),
  );
  const { bytes, sha256 } = fetched;
  const record: FetchRecord = {
    ...(await readRecord(folder)),
    [file.file]: { bytes, sha256, unpacked: Object.fromEntries(sizes) },
  };
  const text = `${JSON.stringify(record, null, 2)}\n`;
  await writeAtomically(join(folder, recordName), [Buffer.from(text)]);
  await rm(archive);
  return fetched;
}

/** @throws UserInputError when it is no address. */
function addressIn(from: string, url: string): string {
  const base = URL.parse(from.endsWith('/') ? from : `${from}/`);
  if (base !== null && /^https?:$/.test(base.protocol)) {
    return new URL(basename(new URL(url).pathname), base).href;
  }
  throw new UserInputError(`'${from}' is no address: it begins with http:// or https://`);
}

function isVerified({ sha256, md5 }: PublicFile): boolean {
  return sha256 !== undefined || md5 !== undefined;
}

/** One that can't be understood counts as none: the files are then fetched again. */
async function readRecord(folder: string): Promise<FetchRecord> {
  try {
    const text = await readFile(join(folder, recordName), 'utf8');
    return v.parse(recordSchema, JSON.parse(text));
  } catch {
    return {};
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
