import { UserInputError } from '../../errors.ts';
import { BadRows, type OnBadRow } from '../bad-rows.ts';
import type { Dataset, ImageFeatures } from '../prepared/dataset.ts';
import { DatasetWriter } from '../prepared/dataset-writer.ts';
import type { RecordColumn } from '../prepared/record-columns.ts';
import { createSplit, type SplitOptions } from '../prepared/split.ts';
import { type ImageSource, isBad } from './image-source.ts';

export interface ImageOptions {
  readonly source: ImageSource;
  /** Where the data have a test part of their own: all of it is held out, and nothing of `source`. */
  readonly heldOutSource?: ImageSource;
  readonly split: SplitOptions;
  /** `stop` (the default) at the first image that can't be used, or leave such images out. */
  readonly onBadRow?: OnBadRow;
  /** Made if absent; a data set that is there already is replaced. */
  readonly directory: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ImageProgress) => void;
}

export interface ImageProgress {
  readonly phase: 'images';
  /** Images. */
  readonly done: number;
  readonly total: number;
}

/** Reports in the whole, roughly. */
const REPORTS = 100;

/**
 * Writes images as they are, uint8, one at a time; their mean and deviation over the training part
 * are in the features. The same images and options give the same bytes.
 * @throws UserInputError that names what can't be used; the signal's reason when it aborts.
 */
export async function prepareImages(options: ImageOptions): Promise<Dataset> {
  const { source, heldOutSource, directory, split, onBadRow = 'stop', signal } = options;
  const { height, width, channels, classes } = source;
  if (heldOutSource !== undefined) checkSame(source, heldOutSource);
  const columns: readonly RecordColumn[] = [
    { name: 'pixels', type: 'uint8', shape: [height, width, channels] },
    { name: 'label', type: 'int32', shape: [] },
  ];
  const bad = new BadRows(onBadRow);
  const statistics = new PixelStatistics(channels);
  const total = source.count + (heldOutSource?.count ?? 0);
  const reportEvery = Math.max(1, Math.floor(total / REPORTS));
  let done = 0;

  await using writer = await DatasetWriter.create(directory, columns, split);
  const partOf = createSplit(split, { heldOut: heldOutSource === undefined });
  const copy = async (from: ImageSource, choose: typeof partOf): Promise<void> => {
    for await (const image of from.images()) {
      signal?.throwIfAborted();
      const part = choose();
      if (isBad(image)) bad.add(image.where, image.problem);
      else {
        if (part !== 'held-out') statistics.add(image.pixels);
        const pending = writer.append(part, { pixels: image.pixels, label: [image.label] });
        if (pending) await pending;
      }
      if (++done % reportEvery === 0) options.onProgress?.({ phase: 'images', done, total });
    }
  };
  await copy(source, partOf);
  if (heldOutSource !== undefined) await copy(heldOutSource, () => 'held-out');
  const features: ImageFeatures = {
    kind: 'image',
    height,
    width,
    channels,
    ...statistics.result(),
  };
  return await writer.finish({ classes: [...classes], features, skipped: bad.summary() });
}

function checkSame(source: ImageSource, heldOut: ImageSource): void {
  const describe = ({ height, width, channels, classes }: ImageSource): string =>
    `${height} × ${width} × ${channels} in ${classes.length} classes (${classes.join(', ')})`;
  const [ours, theirs] = [describe(source), describe(heldOut)];
  if (ours === theirs) return;
  throw new UserInputError(`training images are ${ours}, but those held out ${theirs}`);
}

/** Sums of whole numbers, so exact for up to 10¹¹ pixels. */
class PixelStatistics {
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  #pixels = 0;

  constructor(channels: number) {
    this.#sums = new Float64Array(channels);
    this.#squares = new Float64Array(channels);
  }

  add(pixels: Uint8Array): void {
    const channels = this.#sums.length;
    for (let channel = 0; channel < channels; channel++) {
      let sum = 0;
      let squares = 0;
      for (let index = channel; index < pixels.length; index += channels) {
        const value = pixels[index]!;
        sum += value;
        squares += value * value;
      }
      this.#sums[channel]! += sum;
      this.#squares[channel]! += squares;
    }
    this.#pixels += pixels.length / channels;
  }

  result(): Pick<ImageFeatures, 'mean' | 'deviation'> {
    const count = Math.max(1, this.#pixels);
    const mean = [...this.#sums].map((sum) => sum / count / 255);
    const deviation = [...this.#squares].map((squares, channel) => {
      const variance = squares / count / 255 ** 2 - mean[channel]! ** 2;
      return Math.sqrt(Math.max(0, variance)) || 1;
    });
    return { mean, deviation };
  }
}
