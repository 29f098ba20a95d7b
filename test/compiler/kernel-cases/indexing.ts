import * as tf from '@tensorflow/tfjs-core';
import { type Case, int, over } from './case.ts';

const indices = (x: tf.Tensor, count: number) => int(tf.mul(tf.abs(x), count - 1e-3));

export const indexingCases: readonly Case[] = [
  ...over(
    'gather',
    [
      [[6, 4], [3]],
      [
        [6, 4],
        [2, 3],
      ],
    ],
    (x, i) => tf.gather(x!, indices(i!, 6) as tf.Tensor1D),
  ),
  ...over('gather along the last axis', [[[3, 6], [4]]], (x, i) =>
    tf.gather(x!, indices(i!, 6) as tf.Tensor1D, -1),
  ),
  ...over(
    'gather in batches',
    [
      [
        [2, 3, 5, 4],
        [2, 3],
      ],
    ],
    (x, i) => [
      tf.gather(x!, indices(i!, 3) as tf.Tensor1D, 1, 1),
      tf.gather(x!, indices(i!, 4) as tf.Tensor1D, -1, 1),
      tf.gather(x!, indices(i!, 5) as tf.Tensor1D, 2, 2),
    ],
  ),
  ...over(
    'gatherND',
    [
      [
        [4, 5],
        [3, 2],
      ],
      [
        [4, 5],
        [3, 1],
      ],
    ],
    (x, i) => tf.gatherND(x!, indices(i!, 4)),
  ),
  ...over(
    'scatterND, adding up what meets',
    [
      [
        [20, 1],
        [20, 3],
      ],
    ],
    (i, x) => tf.scatterND(indices(i!, 4), x!, [4, 3]),
  ),
  ...over(
    'tensorScatterUpdate',
    [
      [
        [6, 3],
        [2, 3],
      ],
    ],
    (x, y) => tf.tensorScatterUpdate(x!, tf.tensor2d([[4], [1]], [2, 1], 'int32'), y!),
  ),
  ...over('unsortedSegmentSum', [[[20, 3], [20]]], (x, i) =>
    tf.unsortedSegmentSum(x!, indices(i!, 5) as tf.Tensor1D, 5),
  ),
  ...over('oneHot', [[[7]], [[2, 3]]], (x) => {
    const classes = tf.sub(indices(x!, 6), tf.scalar(1, 'int32'));
    return [tf.oneHot(classes as tf.Tensor1D, 4), tf.oneHot(classes as tf.Tensor1D, 4, 0.9, 0.1)];
  }),
];
