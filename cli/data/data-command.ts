import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type FetchedFile,
  fetchDataset,
  findPublicDataset,
  type PublicDataset,
  publicDatasets,
} from '../../datasets/index.ts';
import { UserInputError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { Interruption, watchInterruptions } from '../interruption.ts';
import { formatBytes } from '../output/quantity.ts';
import { formatTable } from '../output/table.ts';
import type { CommandContext } from '../program.ts';

export interface DataFlags {
  readonly to?: string;
  readonly from?: string;
  /** Minutes. */
  readonly deadline: number;
  readonly json?: boolean;
}

const progressEveryMs = 2000;

/** `actorctl data list`: what can be fetched. */
export function listDataCommand({ output }: CommandContext, { json }: DataFlags): ExitCode {
  if (json) {
    for (const dataset of publicDatasets) output.event({ type: 'dataset', ...dataset });
    return exitCodes.ok;
  }
  output.message(
    formatTable<PublicDataset>(
      [
        { title: 'name', text: ({ name }) => name },
        { title: 'what', text: ({ title }) => title },
        { title: 'size', align: 'right', text: sizeOf },
        { title: 'licence', text: ({ licence }) => licence },
      ],
      publicDatasets,
    ),
  );
  return exitCodes.ok;
}

/** `actorctl data fetch NAME`: its files in a folder, or what there is of them to go on from. */
export async function fetchCommand(
  name: string | undefined,
  flags: DataFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  if (name === undefined) {
    const names = publicDatasets.map((dataset) => dataset.name).join(', ');
    throw new UserInputError(`Which data set? There are ${names}.`);
  }
  const dataset = findPublicDataset(name);
  const folder = resolve(environment.cwd, flags.to ?? join('data', name));
  const { title, licence, homepage } = dataset;
  output.message(`${title}\nLicence: ${licence}\nPublisher: ${homepage}`, {
    type: 'licence',
    name,
    title,
    licence,
    homepage,
  });
  using watch = watchInterruptions({
    stdout: environment.stdout,
    onFirst: () => {},
    onSecond: () => process.exit(exitCodes.interrupted),
  });
  let shownAtMs = environment.now();
  try {
    const fetched = await fetchDataset(dataset, {
      folder,
      ...(flags.from !== undefined && { from: flags.from }),
      deadlineMs: flags.deadline * 60_000,
      signal: watch.signal,
      sleep: async (ms, signal) => await delay(ms, undefined, { signal }),
      onProgress: ({ file, done, total }) => {
        if (environment.now() - shownAtMs < progressEveryMs) return;
        shownAtMs = environment.now();
        const of = total === undefined ? '' : ` of ${formatBytes(total)}`;
        output.message(`${file}: ${formatBytes(done)}${of}`, {
          type: 'download',
          file,
          done,
          total: total ?? null,
        });
      },
    });
    for (const file of fetched) output.message(describe(file), { type: 'fetched', ...file });
    output.message(`${name} is in ${folder}.`, { type: 'data', name, folder });
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    output.message('Interrupted. What has come is kept: fetch again to go on.', {
      type: 'warning',
      message: 'interrupted',
    });
    return exitCodes.interrupted;
  }
}

function describe({ file, outcome, bytes, sha256, verified }: FetchedFile): string {
  const what = outcome === 'present' ? 'was there' : `fetched, ${formatBytes(bytes)}`;
  const checksum = verified
    ? 'its checksum is right'
    : `no checksum of it is known; found sha256 ${sha256}`;
  return `${file}: ${what}; ${checksum}`;
}

function sizeOf({ files }: PublicDataset): string {
  const bytes = files.map((file) => file.bytes);
  return bytes.includes(undefined)
    ? '?'
    : formatBytes(bytes.reduce<number>((sum, size) => sum + (size ?? 0), 0));
}
