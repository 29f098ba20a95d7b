import { UserInputError } from '../../errors.ts';
import { ByteReader } from '../byte-reader.ts';
import type { ImageSource, LabelledImage } from './image-source.ts';

export interface IdxFiles {
  /** `…-images-idx3-ubyte`, also `.gz`. */
  readonly images: string;
  /** `…-labels-idx1-ubyte`, also `.gz`. */
  readonly labels: string;
  /** By label; absent: the numbers 0 … 9. */
  readonly classes?: readonly string[];
}

const DIGITS: readonly string[] = Array.from({ length: 10 }, (_, digit) => `${digit}`);

/** Of Fashion-MNIST, in the order of their numbers. */
export const fashionClasses: readonly string[] = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/** Bytes with 3 dimensions, and with 1: the magic numbers of the format. */
const MAGIC_IMAGES = 0x803;
const MAGIC_LABELS = 0x801;
/** A million pixels: what is larger is another file. */
const SIDE_MAX = 1024;

/**
 * Grey images in the format of MNIST (LeCun): big-endian magic number and sizes, then bytes.
 * @throws UserInputError when the files are of another format or don't belong together.
 */
export async function openIdxImages({
  images,
  labels,
  classes = DIGITS,
}: IdxFiles): Promise<ImageSource> {
  const [count, height, width] = (await readHeader(images, MAGIC_IMAGES, 3)).sizes as [
    number,
    number,
    number,
  ];
  const labelCount = (await readHeader(labels, MAGIC_LABELS, 1)).sizes[0]!;
  if (labelCount !== count) {
    throw new UserInputError(`${images} has ${count} images, but ${labels} ${labelCount} labels`);
  }
  if (height < 1 || width < 1 || Math.max(height, width) > SIDE_MAX) {
    throw new UserInputError(
      `${images} has images of ${height} × ${width}: they may have 1 … ${SIDE_MAX} pixels each way`,
    );
  }
  return {
    height,
    width,
    channels: 1,
    classes,
    count,
    async *images() {
      const { reader: imageReader } = await readHeader(images, MAGIC_IMAGES, 3, { keep: true });
      const { reader: labelReader } = await readHeader(labels, MAGIC_LABELS, 1, { keep: true });
      try {
        for (let index = 0; index < count; index++) {
          const pixels = await imageReader.take(height * width);
          const label = (await labelReader.take(1))?.[0];
          if (pixels === undefined || label === undefined) {
            const path = pixels === undefined ? images : labels;
            throw new UserInputError(
              `${path} ends too early: it has ${index} of the ${count} that it names`,
            );
          }
          if (label < classes.length) yield { pixels, label } satisfies LabelledImage;
          else {
            const problem = `the label ${label} is none of 0 … ${classes.length - 1}`;
            yield { where: `${labels}, row ${index + 1}`, problem };
          }
        }
      } finally {
        await imageReader.close();
        await labelReader.close();
      }
    },
  };
}

async function readHeader(
  path: string,
  magic: number,
  dimensions: number,
  { keep = false } = {},
): Promise<{ readonly sizes: readonly number[]; readonly reader: ByteReader }> {
  const reader = await ByteReader.open(path);
  try {
    if (uint32s((await reader.take(4)) ?? [])[0] !== magic) {
      throw new UserInputError(
        `${path} is no IDX file of ${dimensions === 3 ? 'images' : 'labels'}: it should begin with ` +
          `0x${magic.toString(16).padStart(8, '0')}`,
      );
    }
    const sizes = uint32s((await reader.take(4 * dimensions)) ?? []);
    if (sizes.length < dimensions) throw new UserInputError(`${path} ends within its header`);
    if (!keep) await reader.close();
    return { sizes, reader };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

/** Big-endian. */
function uint32s(bytes: Uint8Array | readonly number[]): readonly number[] {
  const buffer = Buffer.from(bytes);
  return Array.from({ length: buffer.length / 4 }, (_, index) => buffer.readUInt32BE(4 * index));
}
