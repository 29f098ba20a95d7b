import * as tf from '@tensorflow/tfjs-core';
import { type Case, int, over, whole } from './case.ts';

export const matrixCases: readonly Case[] = [
  ...[true, false].flatMap((a) =>
    [true, false].flatMap((b) => [
      ...over(`matMul (${a}, ${b})`, [[a ? [4, 3] : [3, 4], b ? [5, 4] : [4, 5]]], (x, y) =>
        tf.matMul(x!, y!, a, b),
      ),
      ...over(
        `batched matMul (${a}, ${b})`,
        [
          [
            [2, ...(a ? [4, 3] : [3, 4])],
            [2, ...(b ? [5, 4] : [4, 5])],
          ],
        ],
        (x, y) => tf.matMul(x!, y!, a, b),
      ),
    ]),
  ),
  ...over(
    'matMul with one batch',
    [
      [
        [1, 3, 4],
        [4, 5],
      ],
    ],
    (x, y) => tf.matMul(x!, y!),
  ),
  ...over(
    'matMul with broadcast batches',
    [
      [
        [5, 3, 4],
        [1, 4, 2],
      ],
    ],
    (x, y) => tf.matMul(x!, y!),
  ),
  ...(['relu', 'sigmoid', 'linear', 'relu6', 'elu'] as const).flatMap((activation) =>
    over(`fused matMul with ${activation}`, [[[3, 4], [4, 5], [5]]], (a, b, bias) =>
      tf.fused.matMul({ a: a as tf.Tensor2D, b: b as tf.Tensor2D, bias: bias!, activation }),
    ),
  ),
  ...over('fused matMul with prelu', [[[3, 4], [4, 5], [5]]], (a, b, slopes) =>
    tf.fused.matMul({
      a: a as tf.Tensor2D,
      b: b as tf.Tensor2D,
      activation: 'prelu',
      preluActivationWeights: slopes!,
    }),
  ),
  ...over(
    'einsum',
    [
      [
        [2, 3, 4],
        [4, 5, 3],
      ],
    ],
    (a, b) => [
      tf.einsum('abc,cdb->adb', a!, b!),
      tf.einsum('abc,cdb->ad', a!, b!),
      tf.einsum('abc->cab', a!),
    ],
  ),
  ...over(
    'matMul of whole numbers',
    [
      [
        [3, 4],
        [5, 4],
      ],
    ],
    (a, b) => tf.matMul(int(a!), int(b!), false, true),
    whole,
  ),
];
