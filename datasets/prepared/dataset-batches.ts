import type { Batches, ColumnData, ColumnSpec } from '../batches.ts';
import { type Dataset, type ImageFeatures, openDataset, openRecords } from './dataset.ts';
import type { RecordValues } from './record-columns.ts';
import { createRowBatches } from './row-batches.ts';

/** A part of a prepared data set as batches; the folder is on the host that opens it. */
export interface RecordsSource {
  readonly kind: 'records';
  /** Of the data set. */
  readonly directory: string;
  /** Index of a shard, or the part that nobody trains on. */
  readonly part: number | 'held-out';
  readonly batch: number;
  /** Shuffles each pass anew; absent: rows come in the order of the file. */
  readonly seed?: number;
}

/**
 * Columns as networks read them: `targets` int32 [batch]; of tables `numeric` float32 [batch, n] and
 * `categories` int32 [batch, m]; of images `images` float32 [batch, height, width, channels], each
 * channel with mean 0 and deviation 1 over the training part.
 * @throws UserInputError when there is no such data set, or the part has fewer rows than a batch;
 *   RangeError when there is no such part; DamagedDataError.
 */
export async function openRecordBatches(source: RecordsSource): Promise<Batches> {
  const { directory, part, batch, seed } = source;
  const dataset = await openDataset(directory);
  const entry = part === 'held-out' ? dataset.heldOut : dataset.shards[part];
  if (entry === undefined) {
    throw new RangeError(`part is ${part}: ${directory} has ${dataset.shards.length} shards`);
  }
  const file = await openRecords(dataset, entry);
  const rows = createRowBatches(file, { batch, ...(seed !== undefined && { seed }) });
  return {
    columns: columnsOf(dataset, batch),
    count: rows.count,
    async read(cursor) {
      return { cursor, columns: inputsOf(dataset, await rows.read(cursor)) };
    },
  };
}

function columnsOf({ columns, features }: Dataset, batch: number): Record<string, ColumnSpec> {
  const targets = { shape: [batch], dtype: 'int32' } as const;
  if (features.kind === 'image') {
    const { height, width, channels } = features;
    return { images: { shape: [batch, height, width, channels], dtype: 'float32' }, targets };
  }
  const inputs = columns.filter(({ name }) => name !== 'label');
  return {
    ...Object.fromEntries(
      inputs.map(({ name, type, shape }): [string, ColumnSpec] => [
        name,
        { shape: [batch, ...shape], dtype: type === 'int32' ? 'int32' : 'float32' },
      ]),
    ),
    targets,
  };
}

function inputsOf(
  { features }: Dataset,
  { label, pixels, ...inputs }: RecordValues,
): Record<string, ColumnData> {
  const targets = label as Int32Array;
  if (features.kind === 'image') {
    return { images: normalisePixels(pixels as Uint8Array, features), targets };
  }
  return { ...(inputs as Record<string, ColumnData>), targets };
}

/** (pixel / 255 − mean) / deviation, by channel. */
export function normalisePixels(
  pixels: Uint8Array,
  { channels, mean, deviation }: ImageFeatures,
): Float32Array {
  const scale = deviation.map((one) => 1 / (255 * one));
  const shift = deviation.map((one, channel) => -mean[channel]! / one);
  const result = new Float32Array(pixels.length);
  for (let index = 0; index < pixels.length; index += channels) {
    for (let channel = 0; channel < channels; channel++) {
      result[index + channel] = pixels[index + channel]! * scale[channel]! + shift[channel]!;
    }
  }
  return result;
}
