import * as tf from '@tensorflow/tfjs-core';
import { bool, type Case, over, whole } from './case.ts';

export const reductionCases: readonly Case[] = [
  ...Object.entries({
    sum: tf.sum,
    mean: tf.mean,
    max: tf.max,
    min: tf.min,
    prod: tf.prod,
  }).flatMap(([name, reduce]) =>
    [undefined, 0, -1, [0, 2], [1, -1]].flatMap((axis) =>
      [true, false].map((keepDims) => ({
        title: `${name} over ${JSON.stringify(axis)}, keepDims ${keepDims}`,
        shapes: [[2, 3, 4]],
        build: (x?: tf.Tensor) => reduce(x!, axis, keepDims) as tf.Tensor,
      })),
    ),
  ),
  ...over('sum and mean of size 1', [[[1, 1]], [[1]]], (x) => [tf.sum(x!), tf.mean(x!, -1)]),
  ...over('sum of a scalar', [[[]]], (x) => tf.sum(x!)),
  ...over('any and all', [[[3, 4]]], (x) => [
    tf.any(bool(x!), 1),
    tf.all(bool(x!), 0, true),
    tf.all(tf.greater(x!, -2)),
  ]),
  ...over('max, min, cumsum, cumprod and topk of bools', [[[3, 4]]], (x) => [
    tf.max(bool(x!), 1),
    tf.min(bool(x!), 0),
    tf.cumsum(bool(x!), 1),
    tf.cumprod(bool(x!), 1),
    tf.topk(bool(x!), 2).values,
  ]),
  ...over('argMax and argMin of none', [[[0]], [[0, 3]]], (x) => [tf.argMax(x!), tf.argMin(x!)]),
  ...over('argMax and argMin', [[[5, 7]], [[1, 7]]], (x) => [
    tf.argMax(x!, 0),
    tf.argMax(x!, -1),
    tf.argMin(x!, 1),
  ]),
  ...over('argMax of equal elements', [[[6, 9]]], (x) => tf.argMax(x!, 1), whole),
  ...over('softmax and logSoftmax', [[[3, 7]], [[7]], [[2, 3, 1]]], (x) => [
    tf.softmax(x!),
    tf.logSoftmax(x!),
  ]),
  ...over('topk', [[[3, 9]]], (x) => {
    const { values, indices } = tf.topk(x!, 4);
    return [values, indices];
  }),
  ...over('cumsum', [[[3, 4]]], (x) => [
    tf.cumsum(x!, 0),
    tf.cumsum(x!, 1, true),
    tf.cumsum(x!, 1, false, true),
  ]),
  ...over('cumprod', [[[3, 4]], [[2, 9, 2]], [[1, 1]], [[5, 17]]], (x) =>
    [0, 1].flatMap((axis) => [
      tf.cumprod(x!, axis),
      tf.cumprod(x!, axis, true),
      tf.cumprod(x!, axis, false, true),
      tf.cumprod(x!, axis, true, true),
    ]),
  ),
];
