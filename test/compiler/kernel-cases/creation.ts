import * as tf from '@tensorflow/tfjs-core';
import { bool, type Case, int, over, wide } from './case.ts';

export const creationCases: readonly Case[] = [
  ...over('fill, zeros, ones', [[[2, 3]]], (x) => [
    tf.fill([2, 3], 0.1),
    tf.zerosLike(x!),
    tf.onesLike(x!),
    tf.add(x!, tf.ones([2, 3])),
    tf.fill([2], 3, 'int32'),
  ]),
  ...over('range and linspace', [[[4]]], (x) => [
    tf.add(x!, tf.range(0, 4)),
    tf.range(9, 0, -2, 'int32'),
    tf.linspace(0, 1, 5),
  ]),
  ...over(
    'cast',
    [[[20]]],
    (x) => [
      tf.cast(x!, 'int32'),
      tf.cast(x!, 'bool'),
      tf.cast(bool(x!), 'float32'),
      tf.cast(bool(x!), 'int32'),
      tf.cast(int(x!), 'float32'),
    ],
    wide,
  ),
];
