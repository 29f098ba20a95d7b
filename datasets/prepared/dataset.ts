import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { readManifestFile, writeManifestFile } from '../manifest.ts';
import type { RecordColumn } from './record-columns.ts';
import { RecordFile, type RecordFileEntry } from './record-file.ts';

/** In a data set's folder, what says that the data set is whole. */
const datasetManifestName = 'dataset.json';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Names, not paths: a manifest never leads out of its folder. */
const fileName = v.pipe(v.string(), v.regex(/^[\w-][\w.-]*$/));

const recordFile = v.object({
  file: fileName,
  rows: count,
  bytes: count,
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  schema: v.object({ bytes: count, crc32: count }),
  blocks: v.array(v.object({ offset: count, bytes: count, rows: count, crc32: count })),
});

const recordColumn = v.object({
  name: v.string(),
  type: v.picklist(['float32', 'int32', 'uint8']),
  shape: v.array(v.pipe(count, v.minValue(1))),
});

const numericFeature = v.object({
  name: v.string(),
  transform: v.picklist(['none', 'signed-log1p']),
  /** Of the transformed values in the training part; what is served is (value − mean) / deviation. */
  mean: v.number(),
  /** 1 where the column has one value only. */
  deviation: v.number(),
  missing: count,
});

const categoricalFeature = v.object({
  name: v.string(),
  /** Numbers in 0 … cardinality − 1; 0 stands for what is missing or was not seen in training. */
  cardinality: count,
  /** Value i + 1 of the column; absent when values are hashed. */
  values: v.optional(v.array(v.string())),
  missing: count,
});

const tableFeatures = v.object({
  kind: v.literal('table'),
  numeric: v.array(numericFeature),
  categorical: v.array(categoricalFeature),
  /** Of the hash of categorical values. */
  hashSeed: count,
});

const imageFeatures = v.object({
  kind: v.literal('image'),
  height: count,
  width: count,
  channels: count,
  /** By channel, of pixels / 255 in the training part. */
  mean: v.array(v.number()),
  deviation: v.array(v.number()),
});

const manifestSchema = v.object({
  format: v.literal('codistill-dataset'),
  version: v.literal(1),
  columns: v.array(recordColumn),
  /** By label, in the order of their numbers. */
  classes: v.array(v.string()),
  features: v.variant('kind', [tableFeatures, imageFeatures]),
  /** Rows that could not be used, and what was wrong with the first of them. */
  skipped: v.object({ rows: count, examples: v.array(v.string()) }),
  split: v.object({ seed: count, replicas: count, sharedFraction: v.number() }),
  /** One for each replica; replicas that share all rows name one file. */
  shards: v.array(recordFile),
  heldOut: recordFile,
});

export type DatasetManifest = v.InferOutput<typeof manifestSchema>;
export type TableFeatures = v.InferOutput<typeof tableFeatures>;
export type NumericFeature = v.InferOutput<typeof numericFeature>;
export type CategoricalFeature = v.InferOutput<typeof categoricalFeature>;
export type ImageFeatures = v.InferOutput<typeof imageFeatures>;

/**
 * A data set made ready for a codistillation group: one file of records for each replica and one
 * that nobody trains on. Every row has `label` (int32, the number of its class); a table's rows
 * `numeric` (float32 [n]) and `categories` (int32 [m]), images `pixels` (uint8 [height, width,
 * channels]).
 */
export interface Dataset {
  readonly directory: string;
  readonly columns: readonly RecordColumn[];
  readonly classes: readonly string[];
  readonly features: TableFeatures | ImageFeatures;
  readonly skipped: DatasetManifest['skipped'];
  readonly shards: readonly RecordFileEntry[];
  readonly heldOut: RecordFileEntry;
}

/**
 * A data set that was prepared before. Files are checked by their length here and by the checksum
 * of each block when it is read.
 * @throws UserInputError when there is none, DamagedDataError when it is not whole.
 */
export async function openDataset(directory: string): Promise<Dataset> {
  const path = join(directory, datasetManifestName);
  const absent = `${directory} has no prepared data set`;
  const dataset = datasetOf(directory, await readManifestFile(path, manifestSchema, absent));
  for (const entry of [...dataset.shards, dataset.heldOut]) {
    await openRecords(dataset, entry);
  }
  return dataset;
}

/**
 * One of the data set's files.
 * @throws DamagedDataError when it is not the one of the manifest.
 */
export async function openRecords(
  { directory, columns }: Pick<Dataset, 'directory' | 'columns'>,
  entry: RecordFileEntry,
): Promise<RecordFile> {
  return await RecordFile.open(directory, entry, columns);
}

/** Makes the files in `directory` a data set: to be called when all of them are written. */
export async function writeDatasetManifest(
  directory: string,
  manifest: DatasetManifest,
): Promise<Dataset> {
  await writeManifestFile(join(directory, datasetManifestName), manifest);
  return datasetOf(directory, manifest);
}

/** Before its files are written anew, `directory` is no data set any more. */
export async function removeDatasetManifest(directory: string): Promise<void> {
  await rm(join(directory, datasetManifestName), { force: true });
}

function datasetOf(directory: string, manifest: DatasetManifest): Dataset {
  const { columns, classes, features, skipped, shards, heldOut } = manifest;
  return { directory, columns, classes, features, skipped, shards, heldOut };
}
