import * as tf from '@tensorflow/tfjs-core';
import { type Case, over } from './case.ts';

export const normalisationCases: readonly Case[] = [
  ...over(
    'batchNorm',
    [[[2, 3, 3, 4], [4], [4], [4], [4]]],
    (...[x, mean, variance, offset, scale]) => [
      tf.batchNorm(x!, mean as tf.Tensor1D, tf.square(variance!) as tf.Tensor1D),
      tf.batchNorm(
        x!,
        mean as tf.Tensor1D,
        tf.square(variance!) as tf.Tensor1D,
        offset as tf.Tensor1D,
        scale as tf.Tensor1D,
        0.01,
      ),
    ],
  ),
  ...over('the gradients of batchNorm', [[[6, 4], [4], [4], [4], [4]]], (...inputs) =>
    tf.grads((...[x, mean, variance, offset, scale]: tf.Tensor[]) =>
      tf.sum(
        tf.square(
          tf.batchNorm(
            x!,
            mean as tf.Tensor1D,
            tf.square(variance!) as tf.Tensor1D,
            offset as tf.Tensor1D,
            scale as tf.Tensor1D,
            0.1,
          ),
        ),
      ),
    )(inputs),
  ),
  ...over('moments', [[[2, 3, 4]]], (x) => {
    const { mean, variance } = tf.moments(x!, [0, -1]);
    return [mean, variance];
  }),
  ...over('localResponseNormalization with its gradient', [[[1, 2, 3, 7]]], (x) => {
    const normalise = (y: tf.Tensor) =>
      tf.localResponseNormalization(y as tf.Tensor4D, 2, 1.5, 0.7, 0.6);
    return [
      normalise(x!),
      tf.grad((y: tf.Tensor) => tf.sum(tf.square(normalise(y))) as tf.Scalar)(x!),
    ];
  }),
];
