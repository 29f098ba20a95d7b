import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserInputError } from '../../errors.ts';
import { createRandomGenerator } from '../../random.ts';
import { orUnreadable } from '../file-chunks.ts';
import type { DecodedImage } from './image-decoder.ts';
import type { BadImage, ImageSource, LabelledImage } from './image-source.ts';

const IMAGE_NAME = /\.(png|jpe?g)$/i;
const FILE_BYTES_MAX = 64 << 20;

export interface ImageFolderOptions {
  /** Subfolders that are the classes, in their order; absent: all that there are, by name. */
  readonly classes?: readonly string[];
  /** Images are read in an order of this seed; 0 if absent. */
  readonly seed?: number;
}

/**
 * A folder with a subfolder for each class, of PNG and JPEG files of one size: that of the first
 * one. An image of another size is bad; grey ones among coloured ones get three channels. Classes are
 * mixed by the seed, as what follows shuffles a bounded stretch only.
 * @throws UserInputError when there are no classes or no images.
 */
export async function openImageFolder(
  folder: string,
  { classes, seed = 0 }: ImageFolderOptions = {},
): Promise<ImageSource> {
  const names = classes ?? (await subfoldersOf(folder));
  if (names.length < 2) {
    throw new UserInputError(
      `${folder} has ${names.length} subfolders with images, but each class is one, and two are needed`,
    );
  }
  const files: { readonly path: string; readonly label: number }[] = [];
  for (const [label, name] of names.entries()) {
    const inside = join(folder, name);
    const entries = (await orUnreadable(inside, readdir(inside))).sort();
    for (const entry of entries) {
      if (IMAGE_NAME.test(entry)) files.push({ path: join(inside, entry), label });
    }
  }
  if (files.length === 0)
    throw new UserInputError(`${folder} has no PNG or JPEG in its subfolders`);
  shuffle(files, seed);
  const { height, width, channels } = await firstImage(files.map(({ path }) => path));
  return {
    height,
    width,
    channels,
    classes: names,
    count: files.length,
    async *images() {
      for (const { path, label } of files) {
        yield await readImage(path, label, { height, width, channels });
      }
    },
  };
}

type Size = Pick<DecodedImage, 'height' | 'width' | 'channels'>;

async function readImage(
  path: string,
  label: number,
  size: Size,
): Promise<LabelledImage | BadImage> {
  const image = await decodeFile(path);
  if (typeof image === 'string') return { where: path, problem: image };
  const { height, width } = image;
  if (height !== size.height || width !== size.width) {
    const problem = `it has ${width} × ${height} pixels, others ${size.width} × ${size.height}`;
    return { where: path, problem };
  }
  return { pixels: withChannels(image, size.channels), label };
}

/** The image, or what is wrong with the file. */
async function decodeFile(path: string): Promise<DecodedImage | string> {
  const { size } = await orUnreadable(path, stat(path));
  if (size > FILE_BYTES_MAX) return `it has ${size} bytes, over ${FILE_BYTES_MAX}`;
  const bytes = await orUnreadable(path, readFile(path));
  // Its libraries are loaded only where they are needed: every actor of a run imports this folder.
  const { decodeImage } = await import('./image-decoder.ts');
  try {
    return decodeImage(bytes);
  } catch (cause) {
    return `it can't be decoded: ${(cause as Error).message}`;
  }
}

/** So many files are looked at for the first that is whole; colour in any of them makes all so. */
const LOOKED_AT_MAX = 16;

async function firstImage(paths: readonly string[]): Promise<Size> {
  const looked = paths.slice(0, LOOKED_AT_MAX);
  let first: DecodedImage | undefined;
  let problem = '';
  let channels: 1 | 3 = 1;
  for (const path of looked) {
    const image = await decodeFile(path);
    if (typeof image === 'string') {
      problem ||= `${path}: ${image}`;
      continue;
    }
    first ??= image;
    if (image.channels === 3) channels = 3;
  }
  if (first === undefined) {
    throw new UserInputError(`none of ${looked.length} images can be read. The first: ${problem}`);
  }
  return { height: first.height, width: first.width, channels };
}

function withChannels({ pixels, channels }: DecodedImage, wanted: 1 | 3): Uint8Array {
  if (channels === wanted) return pixels;
  if (wanted === 3)
    return Uint8Array.from({ length: 3 * pixels.length }, (_, i) => pixels[(i / 3) | 0]!);
  // Luma (ITU-R BT.601): how bright the eye finds red, green and blue.
  return Uint8Array.from({ length: pixels.length / 3 }, (_, i) =>
    Math.round(0.299 * pixels[3 * i]! + 0.587 * pixels[3 * i + 1]! + 0.114 * pixels[3 * i + 2]!),
  );
}

async function subfoldersOf(folder: string): Promise<readonly string[]> {
  const entries = await orUnreadable(folder, readdir(folder, { withFileTypes: true }));
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

function shuffle(items: unknown[], seed: number): void {
  const random = createRandomGenerator(seed, 'image files');
  for (let left = items.length; left > 1; left--) {
    const chosen = Math.floor(random.nextUniform(0, left));
    [items[left - 1], items[chosen]] = [items[chosen], items[left - 1]];
  }
}
