import * as tf from '@tensorflow/tfjs-core';
import { type Case, int, over } from './case.ts';

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

/** None meets the middle between two pixels, where rounding decides which is the nearest. */
const boxes = () =>
  tf.tensor2d([
    [0, 0, 1, 1],
    [0.11, 0.23, 0.71, 0.92],
    [0.93, 0.81, 0.33, 0.12],
    [-0.31, 0.13, 1.22, 0.66],
    [0.2, 0.21, 0.2, 0.21],
    [0, 0, 1, 1],
  ]);
const boxImages = () => tf.tensor1d([0, 1, 0, 1, 0, 9], 'int32');

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
  ...(['bilinear', 'nearest'] as const).flatMap((method) =>
    (
      [
        [3, 5],
        [1, 4],
        [7, 1],
      ] as const
    ).flatMap((size) =>
      over(
        `cropAndResize to ${size}, ${method}: boxes within, beyond and the wrong way round, and of no image`,
        [[[3, 5, 6, 2]], [[2, 1, 4, 3]]],
        (x) => {
          const images = x as tf.Tensor4D;
          return tf.image.cropAndResize(images, boxes(), boxImages(), [...size], method, 0.25);
        },
      ),
    ),
  ),
  ...over('cropAndResize of whole numbers', [[[2, 4, 4, 1]]], (x) =>
    tf.image.cropAndResize(
      int(tf.mul(x!, 9)) as tf.Tensor4D,
      boxes(),
      boxImages(),
      [2, 2],
      'nearest',
    ),
  ),
  ...([0, 0.3, -2, Math.PI] as const).flatMap((radians) =>
    over(`rotateWithOffset by ${radians}`, [[[2, 5, 4, 3]], [[1, 4, 7, 4]]], (x) => [
      tf.image.rotateWithOffset(x as tf.Tensor4D, radians),
      tf.image.rotateWithOffset(x as tf.Tensor4D, radians, [1, 2, 3], [0.25, 0.5]),
      tf.image.rotateWithOffset(x as tf.Tensor4D, radians, 7, 0.2),
    ]),
  ),
  ...(['same', 'valid'] as const).flatMap((pad) =>
    (
      [
        [
          [2, 2],
          [1, 1],
          [1, 1],
        ],
        [
          [3, 2],
          [2, 2],
          [1, 1],
        ],
        [
          [2, 3],
          [1, 2],
          [2, 1],
        ],
        [
          [2, 2],
          [3, 3],
          [2, 2],
        ],
      ] as const
    ).flatMap(([filter, strides, dilations]) =>
      over(
        `dilation2d with its gradients, padding ${pad}, strides ${strides}, dilations ${dilations}`,
        [
          [
            [2, 7, 6, 3],
            [...filter, 3],
          ],
        ],
        (x, f) => {
          const dilate = (images: tf.Tensor, filter: tf.Tensor) =>
            tf.dilation2d(images as tf.Tensor4D, filter as tf.Tensor3D, [...strides], pad, [
              ...dilations,
            ]);
          const weighted = (images: tf.Tensor, filter: tf.Tensor) => {
            const y = dilate(images, filter);
            return tf.sum(tf.mul(y, tf.reshape(tf.range(1, y.size + 1), y.shape))) as tf.Scalar;
          };
          return [dilate(x!, f!), ...tf.grads(weighted)([x!, f!])];
        },
      ),
    ),
  ),
  ...over('flipLeftRight', [[[2, 3, 4, 2]]], (x) => tf.image.flipLeftRight(x as tf.Tensor4D)),
];
