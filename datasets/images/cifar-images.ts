import { stat } from 'node:fs/promises';
import { UserInputError } from '../../errors.ts';
import { ByteReader } from '../byte-reader.ts';
import { orUnreadable } from '../file-chunks.ts';
import type { BadImage, ImageSource, LabelledImage } from './image-source.ts';

const SIDE = 32;
const PLANE = SIDE * SIDE;
/** A label, then the planes of red, green and blue. */
const RECORD_BYTES = 1 + 3 * PLANE;

export const cifar10Classes: readonly string[] = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
];

/**
 * CIFAR-10's binary version (Krizhevsky 2009): `data_batch_1.bin` and so on, colour images of
 * 32 × 32.
 * @throws UserInputError when a file is none of whole records.
 */
export async function openCifarImages(paths: readonly string[]): Promise<ImageSource> {
  if (paths.length === 0) throw new UserInputError('no path was given: name data_batch_1.bin …');
  const counts = await Promise.all(paths.map(countRecords));
  return {
    height: SIDE,
    width: SIDE,
    channels: 3,
    classes: cifar10Classes,
    count: counts.reduce((sum, count) => sum + count, 0),
    async *images() {
      for (const path of paths) yield* readRecords(path);
    },
  };
}

async function countRecords(path: string): Promise<number> {
  const { size } = await orUnreadable(path, stat(path));
  if (size > 0 && size % RECORD_BYTES === 0) return size / RECORD_BYTES;
  throw new UserInputError(
    `${path} is no file of CIFAR-10's binary version: it has ${size} bytes, not records of ` +
      `${RECORD_BYTES}. Unpack the archive if it is one`,
  );
}

async function* readRecords(path: string): AsyncGenerator<LabelledImage | BadImage> {
  const reader = await ByteReader.open(path);
  try {
    for (let row = 1; ; row++) {
      const record = await reader.take(RECORD_BYTES);
      if (record === undefined) return;
      const label = record[0]!;
      if (label < cifar10Classes.length) yield { pixels: interleave(record.subarray(1)), label };
      else {
        const where = `${path}, row ${row}`;
        yield { where, problem: `the label ${label} is none of 0 … ${cifar10Classes.length - 1}` };
      }
    }
  } finally {
    await reader.close();
  }
}

/** From planes of a channel each to the channels of a pixel side by side. */
function interleave(planes: Uint8Array): Uint8Array {
  const pixels = new Uint8Array(3 * PLANE);
  for (let place = 0; place < PLANE; place++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels[3 * place + channel] = planes[channel * PLANE + place]!;
    }
  }
  return pixels;
}
