import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserInputError } from '../../errors.ts';
import {
  type Dataset,
  type DatasetManifest,
  removeDatasetManifest,
  writeDatasetManifest,
} from './dataset.ts';
import type { RecordColumn } from './record-columns.ts';
import { type RecordFileEntry, RecordWriter } from './record-file.ts';
import { checkSplitOptions, type RowPart, type SplitOptions } from './split.ts';

/** What only the reader of the source knows. */
export type DatasetDescription = Pick<DatasetManifest, 'classes' | 'features' | 'skipped'>;

/**
 * Writes the files of a data set, last the manifest, so that a folder with a manifest is whole. To
 * be disposed: what was not finished leaves nothing behind.
 */
export class DatasetWriter implements AsyncDisposable {
  readonly #directory: string;
  readonly #columns: readonly RecordColumn[];
  readonly #split: Required<SplitOptions>;
  readonly #shards: readonly RecordWriter[];
  readonly #heldOut: RecordWriter;

  private constructor(
    directory: string,
    columns: readonly RecordColumn[],
    split: Required<SplitOptions>,
    writers: { readonly shards: readonly RecordWriter[]; readonly heldOut: RecordWriter },
  ) {
    this.#directory = directory;
    this.#columns = columns;
    this.#split = split;
    this.#shards = writers.shards;
    this.#heldOut = writers.heldOut;
  }

  /** @throws UserInputError when the folder can't be written. */
  static async create(
    directory: string,
    columns: readonly RecordColumn[],
    options: SplitOptions,
  ): Promise<DatasetWriter> {
    const split = checkSplitOptions(options);
    try {
      await mkdir(directory, { recursive: true });
      // A data set that is there stays whole until this one begins to replace it.
      await removeDatasetManifest(directory);
    } catch (cause) {
      const { message } = cause as Error;
      throw new UserInputError(`can't use the folder ${directory}: ${message}`, { cause });
    }
    // Where all rows are shared, one file serves every replica.
    const names =
      split.sharedFraction === 1
        ? ['shared.arrow']
        : Array.from({ length: split.replicas }, (_, index) => `shard-${index + 1}.arrow`);
    const opened: RecordWriter[] = [];
    try {
      for (const name of [...names, 'held-out.arrow']) {
        opened.push(await RecordWriter.create(directory, name, columns));
      }
    } catch (error) {
      for (const writer of opened) await writer.discard();
      throw error;
    }
    const heldOut = opened.pop() as RecordWriter;
    return new DatasetWriter(directory, columns, split, { shards: opened, heldOut });
  }

  /** What is returned must be awaited, where there is something, before the next row. */
  append(
    part: RowPart,
    row: Readonly<Record<string, ArrayLike<number>>>,
  ): Promise<unknown> | undefined {
    if (part === 'held-out') return this.#heldOut.append(row);
    if (part !== 'all') return this.#shards[part]!.append(row);
    const pending = this.#shards.map((shard) => shard.append(row)).filter((one) => one);
    return pending.length > 0 ? Promise.all(pending) : undefined;
  }

  /** @throws UserInputError when a part has no rows, or the disk is full. */
  async finish(description: DatasetDescription): Promise<Dataset> {
    const { replicas, seed, sharedFraction } = this.#split;
    const sizes = this.#shards.map(({ rows }) => rows);
    if (Math.min(...sizes, this.#heldOut.rows) === 0) {
      const total = sizes.reduce((sum, rows) => sum + rows, 0);
      throw new UserInputError(
        `there are too few rows: the shards of ${replicas} replicas have ${sizes.join(', ')} ` +
          `(${total} in all) and the held-out part ${this.#heldOut.rows}, but each needs some. ` +
          'Give more rows, fewer replicas, or another seed or held-out share',
      );
    }
    const files: RecordFileEntry[] = [];
    for (const shard of this.#shards) files.push(await shard.finish());
    const shards = Array.from({ length: replicas }, (_, index) => files[index] ?? files[0]!);
    const heldOut = await this.#heldOut.finish();
    const dataset = await writeDatasetManifest(this.#directory, {
      format: 'codistill-dataset',
      version: 1,
      columns: this.#columns.map((column) => ({ ...column, shape: [...column.shape] })),
      ...description,
      split: { seed, replicas, sharedFraction },
      shards: shards as DatasetManifest['shards'],
      heldOut: heldOut as DatasetManifest['heldOut'],
    });
    await removeOthers(this.#directory, new Set([...files, heldOut].map(({ file }) => file)));
    return dataset;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of [...this.#shards, this.#heldOut]) await writer.discard();
  }
}

/** Shards that an earlier data set had more of. */
async function removeOthers(directory: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(directory)) {
    const isShard = /^(shard-\d+|shared)\.arrow$/.test(name);
    if (isShard && !kept.has(name)) await rm(join(directory, name), { force: true });
  }
}
