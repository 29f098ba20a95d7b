import * as tf from '@tensorflow/tfjs-core';
import { bool, type Case, int } from './case.ts';

/** How many graphs of many kernels each; with the seeds they are the same in every run. */
const ROUNDS = 12;

type Pick = (limit: number) => number;

/** Whole numbers below a limit, decided by the seed. */
function createPick(seed: number): Pick {
  // Neighbouring seeds begin alike.
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** A shape of rank `rankMin` to 4; sizes are 0 (one in eight) to 4. */
function pickShape(pick: Pick, rankMin = 0, sizeMin = 0): number[] {
  const rank = rankMin + pick(5 - rankMin);
  return Array.from({ length: rank }, () => (sizeMin === 0 && pick(8) === 0 ? 0 : 1 + pick(4)));
}

/** A shape that broadcasts with another. */
function pickPartner(pick: Pick, shape: readonly number[]): number[] {
  const kept = shape.slice(pick(shape.length + 1));
  return kept.map((size) => (pick(3) === 0 ? 1 : size));
}

type Cast = (x: tf.Tensor) => tf.Tensor;
const casts: Readonly<Record<'float32' | 'int32' | 'bool', Cast>> = {
  float32: (x) => x,
  int32: (x) => int(tf.mul(x, 7)),
  bool,
};

const types = ['float32', 'int32', 'bool'] as const;

function pickAxes(pick: Pick, rank: number): number[] {
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter(() => pick(2) === 0);
  return axes.map((axis) => (pick(2) === 0 ? axis : axis - rank));
}

function rounds(
  title: string,
  make: (pick: Pick, type: keyof typeof casts) => Omit<Case, 'title'> & { about: string },
): Case[] {
  return Array.from({ length: ROUNDS }, (_, round) => {
    const { about, ...rest } = make(createPick(round + 1), types[round % types.length]!);
    const shapes = rest.shapes.map((shape) => `[${shape}]`).join(', ');
    return { title: `${title}, round ${round + 1}: ${about} ${shapes}`, ...rest };
  });
}

const unaryOperations = [
  tf.abs,
  tf.sign,
  tf.square,
  tf.relu,
  tf.zerosLike,
  tf.onesLike,
  tf.clone,
  (x: tf.Tensor) => tf.cast(x, 'float32'),
  (x: tf.Tensor) => tf.cast(x, 'int32'),
  (x: tf.Tensor) => tf.cast(x, 'bool'),
  (x: tf.Tensor) => tf.clipByValue(x, -1, 2),
];

const floatOperations = [
  tf.neg,
  tf.sigmoid,
  tf.tanh,
  tf.exp,
  tf.sin,
  tf.elu,
  tf.softplus,
  tf.floor,
  tf.ceil,
  tf.round,
  tf.erf,
  tf.isNaN,
  tf.isFinite,
];

const arithmetic = [tf.add, tf.sub, tf.mul, tf.maximum, tf.minimum];
const comparisons = [tf.equal, tf.notEqual, tf.greater, tf.greaterEqual, tf.less, tf.lessEqual];

export const randomCases: readonly Case[] = [
  ...rounds('elementwise operations', (pick, type) => {
    const operations = [...unaryOperations, ...(type === 'float32' ? floatOperations : [])];
    return {
      about: type,
      shapes: [pickShape(pick)],
      build: (x) => operations.map((operation) => operation(casts[type](x!)) as tf.Tensor),
    };
  }),

  ...rounds('operations on two tensors', (pick, type) => {
    const shape = pickShape(pick);
    const shapes = [shape, pickPartner(pick, shape)];
    if (pick(2) === 0) shapes.reverse();
    const operations = [
      ...comparisons,
      ...(type === 'bool'
        ? [tf.logicalAnd, tf.logicalOr, tf.logicalXor]
        : [...arithmetic, tf.squaredDifference]),
    ];
    return {
      about: type,
      shapes,
      build: (a, b) =>
        operations.map((operation) => operation(casts[type](a!), casts[type](b!)) as tf.Tensor),
    };
  }),

  ...rounds('reductions', (pick, type) => {
    const shape = pickShape(pick, 1, 1);
    const axes = pickAxes(pick, shape.length);
    const keepDims = pick(2) === 0;
    const axis = pick(shape.length) - (pick(2) === 0 ? 0 : shape.length);
    return {
      about: `${type} over [${axes}] and ${axis}`,
      shapes: [shape],
      build: (y) => {
        const x = casts[type](y!);
        const logical = type === 'bool' ? [tf.any(x, axes, keepDims), tf.all(x, axes)] : [];
        const numeric =
          type === 'bool'
            ? []
            : [
                tf.max(x, axes, keepDims),
                tf.min(x, axes),
                tf.prod(x, axes, keepDims),
                // tfjs itself takes no negative axis here.
                tf.cumsum(x, (axis + shape.length) % shape.length),
              ];
        return [
          ...logical,
          ...numeric,
          tf.sum(x, axes, keepDims),
          tf.mean(x, axes),
          tf.argMax(x, axis),
          tf.argMin(x, axis),
        ];
      },
    };
  }),

  ...rounds('moves', (pick, type) => {
    const shape = pickShape(pick, 1);
    const rank = shape.length;
    const order = shape.map((_, axis) => axis).sort(() => pick(3) - 1);
    const axis = pick(rank) - (pick(2) === 0 ? 0 : rank);
    const begin = shape.map((size) => pick(size + 1));
    const size = shape.map((all, each) => pick(all - begin[each]! + 1));
    const paddings = shape.map((): [number, number] => [pick(3), pick(3)]);
    const repetitions = shape.map(() => 1 + pick(2));
    const axes = pickAxes(pick, rank);
    return {
      about: `${type} along ${axis}`,
      shapes: [shape],
      build: (y) => {
        const x = casts[type](y!);
        return [
          tf.transpose(x, order),
          tf.reshape(x, [-1]),
          tf.expandDims(x, axis),
          tf.slice(x, begin, size),
          tf.pad(x, paddings, 1),
          tf.tile(x, repetitions),
          tf.reverse(x, axes),
          tf.concat([x, x], axis),
          tf.stack([x, x, x], axis),
        ];
      },
    };
  }),

  ...rounds('choices by index', (pick, type) => {
    const shape = pickShape(pick, 1, 1);
    const axis = pick(shape.length);
    const count = shape[axis]!;
    const places = Array.from({ length: 1 + pick(4) }, () => pick(count));
    return {
      about: `${type} along ${axis}`,
      shapes: [shape],
      build: (y) => {
        const x = casts[type](y!);
        const indices = tf.tensor1d(places, 'int32');
        return [
          tf.gather(x, indices, axis),
          tf.gather(x, indices, axis - shape.length),
          tf.oneHot(indices, count + 1),
          tf.where(bool(y!), x, tf.zerosLike(x)),
          ...tf.unstack(x, axis),
          // Of whole numbers tfjs makes floats here.
          tf.unsortedSegmentSum(tf.cast(x, 'float32'), tf.zeros([shape[0]!], 'int32'), 2),
        ];
      },
    };
  }),
];
