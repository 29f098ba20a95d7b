import * as tf from '@tensorflow/tfjs-core';
import { bool, type Case, int, over, whole } from './case.ts';

export const layoutCases: readonly Case[] = [
  ...over('reshape', [[[3, 4]]], (x) => [tf.reshape(x!, [2, -1]), tf.reshape(x!, [12])]),
  ...over('expandDims and squeeze', [[[3, 1, 4]]], (x) => [
    tf.expandDims(x!, -1),
    tf.expandDims(x!, 1),
    tf.squeeze(x!),
  ]),
  ...over('diag', [[[4]], [[2, 3]], [[1]]], (x) => [
    tf.diag(x!),
    tf.diag(int(tf.mul(x!, 9))),
    tf.diag(bool(x!)),
  ]),
  ...over('transpose', [[[2, 3, 4]]], (x) => [tf.transpose(x!), tf.transpose(x!, [1, 0, 2])]),
  ...over(
    'concat',
    [
      [
        [2, 3],
        [4, 3],
      ],
      [
        [0, 3],
        [2, 3],
      ],
    ],
    (a, b) => tf.concat([a!, b!], 0),
  ),
  ...over(
    'concat of bools, last axis',
    [
      [
        [2, 3],
        [2, 1],
      ],
    ],
    (a, b) => tf.concat([bool(a!), bool(b!)], -1),
  ),
  ...over(
    'stack',
    [
      [
        [2, 3],
        [2, 3],
      ],
    ],
    (a, b) => [tf.stack([a!, b!], 0), tf.stack([a!, b!], -1), tf.stack([a!], 1)],
  ),
  ...over('unstack', [[[2, 3, 4]]], (x) => [...tf.unstack(x!, 1), ...tf.unstack(x!, -1)]),
  ...over('split', [[[6, 4]]], (x) => [...tf.split(x!, 3, 0), ...tf.split(x!, [1, 3], -1)]),
  ...over('slice', [[[4, 5]]], (x) => [
    tf.slice(x!, [1, 2], [2, -1]),
    tf.slice(x!, [0, 4]),
    tf.slice(x!, 3),
  ]),
  ...over('stridedSlice', [[[5, 6]]], (x) => [
    tf.stridedSlice(x!, [0, 1], [5, 6], [2, 2]),
    tf.stridedSlice(x!, [4, 5], [0, 0], [-1, -2]),
    tf.stridedSlice(x!, [4, 5], [0, 0], [-1, -1], 0, 3),
    tf.stridedSlice(x!, [1, 0], [2, 6], [1, 1], 0, 0, 0, 0, 1),
  ]),
  ...over('reverse', [[[3, 4]]], (x) => [
    tf.reverse(x!, 0),
    tf.reverse(x!, [-1, 0]),
    tf.reverse(x!),
  ]),
  ...over('pad', [[[2, 3]]], (x) => [
    tf.pad(x!, [
      [1, 0],
      [2, 1],
    ]),
    tf.pad(
      x!,
      [
        [0, 1],
        [1, 1],
      ],
      7,
    ),
  ]),
  ...over('pad of whole numbers', [[[3]]], (x) => tf.pad(int(x!), [[1, 2]], 9), whole),
  ...over('mirrorPad', [[[3, 4]]], (x) =>
    tf.mirrorPad(
      x!,
      [
        [1, 2],
        [2, 1],
      ],
      'reflect',
    ),
  ),
  ...over('mirrorPad with the edge', [[[3, 4]]], (x) =>
    tf.mirrorPad(
      x!,
      [
        [3, 0],
        [2, 4],
      ],
      'symmetric',
    ),
  ),
  ...over('depthToSpace', [[[2, 2, 3, 8]]], (x) => tf.depthToSpace(x as tf.Tensor4D, 2)),
  ...over('spaceToBatchND and batchToSpaceND', [[[2, 3, 5, 2]]], (x) => {
    const batches = tf.spaceToBatchND(
      x!,
      [2, 3],
      [
        [1, 0],
        [0, 1],
      ],
    );
    return [
      batches,
      tf.batchToSpaceND(
        batches,
        [2, 3],
        [
          [1, 0],
          [0, 2],
        ],
      ),
    ];
  }),
  ...over('tile', [[[2, 3]]], (x) => tf.tile(x!, [2, 3])),
  ...over('broadcastTo', [[[3, 1]], [[1]], [[]]], (x) => tf.broadcastTo(x!, [2, 3, 4])),
];
