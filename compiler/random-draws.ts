import * as tf from '@tensorflow/tfjs-core';
import { CannotCompileError } from '../errors.ts';
import { sameShape } from './tensor-spec.ts';
import { placeInUserCode } from './user-code.ts';

/** Operations that draw numbers, and the distribution that they draw with mean 0, or from 0 to 1. */
const DISTRIBUTIONS = {
  randomUniform: tf.randomUniform,
  randomNormal: tf.randomNormal,
  truncatedNormal: tf.truncatedNormal,
} as const;

type Distribution = keyof typeof DISTRIBUTIONS;

/** A tensor of random numbers that a function draws: `offset + scale · x`. */
export interface Draw {
  readonly distribution: Distribution;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly scale: number;
}

/** What TensorFlow.js's generators are seeded with while draws are looked at. */
const PROBE_SEED = 0.5;

/** Elements that are compared with the standard distribution. */
const PROBED_ELEMENTS_MAX = 4096;

/**
 * Runs `body` on the active backend with other random tensors: for each that it draws without a seed
 * of its own, it gets what `replace` answers. TensorFlow.js draws in JavaScript, from a generator that
 * `Math.random` seeds: a seed known here tells a draw's distribution by its numbers. All of it is
 * synchronous, so nobody else meets the other `Math.random`.
 * @throws CannotCompileError where `body` uses `Math.random` for anything else.
 */
export function replaceDraws<Result>(
  replace: (draw: Draw) => tf.Tensor,
  body: () => Result,
): Result {
  const backend = tf.backend();
  const original = { write: backend.write, random: Math.random };
  const hadOwnWrite = Object.hasOwn(backend, 'write');
  let pending: Distribution | undefined;
  let probe: ((values: Float32Array) => void) | undefined;
  const standardNumbers = (distribution: Distribution, count: number): Float32Array => {
    let numbers: Float32Array = new Float32Array();
    probe = (values) => {
      numbers = values;
    };
    DISTRIBUTIONS[distribution]([count], 0, 1, 'float32', PROBE_SEED).dispose();
    probe = undefined;
    return numbers;
  };
  Math.random = () => {
    pending = distributionBeingDrawn();
    return PROBE_SEED;
  };
  backend.write = (values, shape, dtype) => {
    const distribution = pending;
    pending = undefined;
    if (distribution === undefined) {
      probe?.(values as Float32Array);
      return original.write.call(backend, values, shape, dtype);
    }
    const numbers = values as ArrayLike<number>;
    const count = Math.min(numbers.length, PROBED_ELEMENTS_MAX);
    const standard = standardNumbers(distribution, count);
    const tensor = replace({ distribution, shape, ...fitLine(distribution, standard, numbers) });
    backend.incRef(tensor.dataId);
    return tensor.dataId;
  };
  try {
    return body();
  } finally {
    Math.random = original.random;
    if (hadOwnWrite) backend.write = original.write;
    else delete (backend as Partial<tf.KernelBackend>).write;
  }
}

/** The operation that tfjs is in, by the name of its scope. */
function distributionBeingDrawn(): Distribution {
  const name = tf.engine().state.activeScope?.name.replace(/__op$/, '');
  if (name !== undefined && name in DISTRIBUTIONS) return name as Distribution;
  const what = tf.engine().state.activeScope?.name.endsWith('__op')
    ? `The operation tf.${name} draws random numbers, and`
    : 'The function calls Math.random(), which';
  throw new CannotCompileError(
    `${what} would give the same numbers at every run${placeInUserCode()}. Use tf.dropout, ` +
      'tf.randomUniform, tf.randomNormal or tf.truncatedNormal, or hand the numbers in as an input.',
  );
}

/** Finds offset and scale of `numbers`, which were drawn like `standard` ones. */
function fitLine(
  distribution: Distribution,
  standard: Float32Array,
  numbers: ArrayLike<number>,
): { offset: number; scale: number } {
  let low = 0;
  let high = 0;
  for (let i = 1; i < standard.length; i++) {
    if (standard[i]! < standard[low]!) low = i;
    if (standard[i]! > standard[high]!) high = i;
  }
  const span = standard[high]! - standard[low]!;
  const scale = span > 0 ? round((numbers[high]! - numbers[low]!) / span) : Number.NaN;
  const rough = numbers[low]! - scale * standard[low]!;
  const offset = Math.abs(rough) < 1e-5 * Math.abs(scale) ? 0 : round(rough);
  const tolerance = 1e-5 * (Math.abs(scale) + Math.abs(offset));
  for (let i = 0; i < standard.length; i++) {
    if (Math.abs(offset + scale * standard[i]! - numbers[i]!) <= tolerance) continue;
    throw new CannotCompileError(
      `The tf.${distribution} of ${numbers.length} elements${placeInUserCode()} can't be compiled: ` +
        'only float32 draws of two elements or more can. Draw more, round floats (tf.floor), or ' +
        'hand the numbers in as an input.',
    );
  }
  return { offset, scale };
}

/** Six digits: the float32 numbers that a line is fitted through have no more to tell. */
function round(value: number): number {
  const rounded = Number(value.toPrecision(6));
  return Math.abs(rounded - value) <= 2e-6 * Math.abs(value) ? rounded : value;
}

export function sameDraw(a: Draw, b: Draw | undefined): boolean {
  return b !== undefined && a.distribution === b.distribution && sameShape(a.shape, b.shape);
}

export interface DrawPlace {
  readonly seed: number;
  /** Which run of the function it is, from 0. */
  readonly call: number;
  /** Which of the function's draws, from 0. */
  readonly index: number;
}

/**
 * Fills in a draw's numbers. They depend on seed, call and index alone: the same on every engine and
 * in a run that is resumed. Not for secrets.
 */
export function fillDraw(values: Float32Array, draw: Draw, { seed, call, index }: DrawPlace): void {
  const [low, high] = [seed >>> 0, Math.floor(seed / 2 ** 32)];
  const first = mix(mix(mix(mix(low) ^ high) ^ call) ^ index);
  const second = mix(first + 0x9e3779b9);
  const bitsAt = (counter: number) => mix(mix(counter + first) ^ second);
  const { offset, scale, distribution } = draw;
  if (distribution === 'randomUniform') {
    for (let i = 0; i < values.length; i++) {
      values[i] = offset + scale * ((bitsAt(i) >>> 8) * 2 ** -24);
    }
    return;
  }
  const limit = distribution === 'truncatedNormal' ? 2 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    values[i] = offset + scale * normalAt(i, values.length, bitsAt, limit);
  }
}

/** Box and Muller; what lies beyond the limit (1 in 22, for 2) is drawn again, further on. */
function normalAt(
  place: number,
  stride: number,
  bitsAt: (counter: number) => number,
  limit: number,
): number {
  let normal = 0;
  for (let attempt = 0; attempt < 64; attempt++) {
    const counter = 2 * (place + attempt * stride);
    const radius = Math.sqrt(-2 * Math.log(((bitsAt(counter) >>> 0) + 1) * 2 ** -32));
    normal = radius * Math.cos(2 * Math.PI * (bitsAt(counter + 1) >>> 0) * 2 ** -32);
    if (Math.abs(normal) <= limit) return normal;
  }
  return Math.sign(normal) * limit;
}

/** A permutation of 32 bits that scatters its argument: Wellons' "lowbias32", second edition. */
function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
  return bits ^ (bits >>> 15);
}
