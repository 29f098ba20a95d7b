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
  ...over('sparseToDense', [[[3]]], (x) => [
    tf.sparseToDense(tf.tensor1d([4, 0, 2], 'int32'), x!, [6], 0.5),
    tf.sparseToDense(
      tf.tensor2d(
        [
          [0, 1],
          [2, 0],
          [1, 1],
        ],
        [3, 2],
        'int32',
      ),
      x!,
      [3, 2],
      0,
    ),
    tf.sparseToDense(tf.tensor1d([1, 3], 'int32'), tf.sum(x!) as tf.Scalar, [4], -1),
    tf.sparseToDense(
      tf.tensor1d([1], 'int32'),
      int(tf.mul(tf.slice(x!, 0, 1), 9)),
      [2],
      tf.scalar(0, 'int32'),
    ),
  ]),
  ...over('bincount, with and without weights', [[[20]], [[1]]], (x) => {
    const classes = indices(x!, 4) as tf.Tensor1D;
    const none = tf.zeros([0]) as tf.Tensor1D;
    return [
      tf.bincount(classes, none, 5),
      tf.bincount(classes, x as tf.Tensor1D, 3),
      tf.denseBincount(classes, none, 4),
      tf.denseBincount(classes, none, 4, true),
    ];
  }),
  ...over('denseBincount of rows', [[[4, 9]]], (x) => {
    const classes = indices(x!, 4) as tf.Tensor2D;
    return [
      tf.denseBincount(classes, x as tf.Tensor2D, 4),
      tf.denseBincount(classes, tf.zeros([0]) as unknown as tf.Tensor2D, 3, true),
    ];
  }),
  ...over(
    'lowerBound and upperBound',
    [
      [
        [3, 5],
        [3, 8],
      ],
    ],
    (x, y) => {
      const sorted = tf.cumsum(tf.round(tf.mul(tf.abs(x!), 2)), 1);
      const searched = tf.round(tf.mul(y!, 4));
      return [tf.lowerBound(sorted, searched), tf.upperBound(sorted, searched)];
    },
  ),
  ...over('oneHot', [[[7]], [[2, 3]]], (x) => {
    const classes = tf.sub(indices(x!, 6), tf.scalar(1, 'int32'));
    return [tf.oneHot(classes as tf.Tensor1D, 4), tf.oneHot(classes as tf.Tensor1D, 4, 0.9, 0.1)];
  }),
];
