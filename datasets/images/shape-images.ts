import { createRandomGenerator, type RandomGenerator } from '../../random.ts';
import type { ImageSource } from './image-source.ts';

export interface ShapeOptions {
  readonly count: number;
  /** 0 … 2⁵³ − 1. */
  readonly seed: number;
  /** Pixels each way, 8 … 256; 28 if absent. */
  readonly size?: number;
  /** 1 is grey, 3 shape and ground in colours of their own; 1 if absent. */
  readonly channels?: 1 | 3;
  /** Deviation of the noise, as a share of the range of a pixel; 0.2 if absent. */
  readonly noise?: number;
}

/** Whether a point belongs to the shape, which lies within −1 … 1 both ways. */
type Shape = (x: number, y: number) => boolean;

const SHAPES: Readonly<Record<string, Shape>> = {
  disc: (x, y) => x * x + y * y < 0.9,
  ring: (x, y) => x * x + y * y < 1 && x * x + y * y > 0.4,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.8,
  frame: (x, y) => {
    const edge = Math.max(Math.abs(x), Math.abs(y));
    return edge < 0.95 && edge > 0.55;
  },
  triangle: (x, y) => y < 0.8 && y > -0.9 && Math.abs(x) < (y + 0.9) * 0.55,
  plus: (x, y) =>
    Math.min(Math.abs(x), Math.abs(y)) < 0.28 && Math.max(Math.abs(x), Math.abs(y)) < 1,
  'diagonal cross': (x, y) =>
    Math.min(Math.abs(x - y), Math.abs(x + y)) < 0.4 && Math.max(Math.abs(x), Math.abs(y)) < 1,
  rows: (x, y) => Math.abs(x) < 0.95 && Math.abs(y) < 0.95 && Math.floor((y + 1) * 2.5) % 2 === 0,
  columns: (x, y) =>
    Math.abs(x) < 0.95 && Math.abs(y) < 0.95 && Math.floor((x + 1) * 2.5) % 2 === 0,
  chequers: (x, y) =>
    Math.abs(x) < 0.95 &&
    Math.abs(y) < 0.95 &&
    (Math.floor((x + 1) * 2) + Math.floor((y + 1) * 2)) % 2 === 0,
};

/** In the order of their numbers. */
export const shapeClasses: readonly string[] = Object.keys(SHAPES);

/**
 * Pictures of ten shapes, each of another size, at another place, in another brightness, with noise:
 * data that need no download and that a small network learns, but not from single pixels. Classes are
 * equally likely.
 * @throws RangeError that names the option, its value and the values allowed.
 */
export function shapeImages(options: ShapeOptions): ImageSource {
  const { count, seed, size = 28, channels = 1, noise = 0.2 } = options;
  const isWhole = (value: number, low: number, high: number) =>
    Number.isInteger(value) && value >= low && value <= high;
  if (!isWhole(count, 1, 2 ** 32)) {
    throw new RangeError(`count is ${count}: it takes a whole number of 1 … 2^32`);
  }
  if (!isWhole(size, 8, 256)) {
    throw new RangeError(`size is ${size}: it takes a whole number of 8 … 256`);
  }
  if (channels !== 1 && channels !== 3)
    throw new RangeError(`channels is ${channels}: it is 1 or 3`);
  if (!(noise >= 0 && noise <= 1)) throw new RangeError(`noise is ${noise}: it lies in 0 … 1`);
  return {
    height: size,
    width: size,
    channels,
    classes: shapeClasses,
    count,
    async *images() {
      const random = createRandomGenerator(seed, 'shapes');
      for (let index = 0; index < count; index++) {
        const label = Math.floor(random.nextUniform(0, shapeClasses.length));
        const shape = SHAPES[shapeClasses[label]!]!;
        yield { pixels: draw(shape, { size, channels, noise }, random), label };
      }
    },
  };
}

function draw(
  shape: Shape,
  { size, channels, noise }: Required<Pick<ShapeOptions, 'size' | 'channels' | 'noise'>>,
  random: RandomGenerator,
): Uint8Array {
  const radius = size * random.nextUniform(0.24, 0.4);
  const shift = size / 2 - radius;
  const centreX = size / 2 + random.nextUniform(-shift, shift);
  const centreY = size / 2 + random.nextUniform(-shift, shift);
  const ground = Array.from({ length: channels }, () => random.nextUniform(0, 100));
  // The shape is lighter in each channel, by so much that it can be seen in noise.
  const light = ground.map((value) => value + random.nextUniform(70, 150));
  const pixels = new Uint8Array(size * size * channels);
  let at = 0;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const x = (column + 0.5 - centreX) / radius;
      const y = (row + 0.5 - centreY) / radius;
      const colours = shape(x, y) ? light : ground;
      for (const colour of colours) {
        const value = colour + 255 * noise * triangular(random);
        pixels[at++] = Math.max(0, Math.min(255, Math.round(value)));
      }
    }
  }
  return pixels;
}

/** Mean 0, deviation 1, and cheaper than a normal one. */
function triangular(random: RandomGenerator): number {
  return (random.nextUniform(0, 1) - random.nextUniform(0, 1)) * Math.sqrt(6);
}
