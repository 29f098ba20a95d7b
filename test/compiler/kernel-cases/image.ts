import * as tf from '@tensorflow/tfjs-core';
import { type Case, over } from './case.ts';

const methods = {
  resizeBilinear: tf.image.resizeBilinear,
  resizeNearestNeighbor: tf.image.resizeNearestNeighbor,
};
const sizes = [
  [6, 8],
  [2, 3],
  [5, 1],
] as const;

/** One square image: with others the gradients of tfjs's own CPU backend are wrong. */
const image = [1, 4, 4, 2];

export const imageCases: readonly Case[] = [
  ...Object.entries(methods).flatMap(([name, resize]) =>
    sizes.flatMap((size) =>
      [false, true].flatMap((alignCorners) =>
        over(
          `${name} to ${size} with its gradient, alignCorners ${alignCorners}`,
          [[image]],
          (x) => {
            const run = (images: tf.Tensor) =>
              resize(images as tf.Tensor4D, [...size], alignCorners);
            const loss = (images: tf.Tensor) => tf.sum(tf.square(run(images))) as tf.Scalar;
            return [run(x!), tf.grad(loss)(x!)];
          },
        ),
      ),
    ),
  ),
  ...over('resizing between pixel centres', [[[1, 3, 4, 2]]], (x) => [
    tf.image.resizeBilinear(x as tf.Tensor4D, [7, 5], false, true),
    tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [7, 5], false, true),
  ]),
  ...over('flipLeftRight', [[[2, 3, 4, 2]]], (x) => tf.image.flipLeftRight(x as tf.Tensor4D)),
];
