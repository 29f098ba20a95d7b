import * as tf from '@tensorflow/tfjs-core';
import { type Case, over } from './case.ts';

type Images = tf.Tensor4D;

/** A convolution and both its gradients, for an upstream gradient that differs everywhere. */
const withGradients =
  (convolve: (x: Images, filter: Images) => tf.Tensor) =>
  (...[x, filter]: tf.Tensor[]): tf.Tensor[] => {
    const weighted = (a: tf.Tensor, b: tf.Tensor) => {
      const y = convolve(a as Images, b as Images);
      return tf.sum(tf.mul(y, tf.reshape(tf.range(1, y.size + 1), y.shape))) as tf.Scalar;
    };
    const gradients = tf.grads((...[a, b]: tf.Tensor[]) => weighted(a!, b!))([x!, filter!]);
    return [convolve(x as Images, filter as Images), ...gradients];
  };

const small = (x: number) => x / 8;

export const convolutionCases: readonly Case[] = [
  ...(
    [
      ['same', 1, 1],
      ['valid', 1, 1],
      ['same', 2, 1],
      ['valid', 2, 1],
      [2, 1, 1],
      ['same', [2, 3], 1],
    ] as const
  ).flatMap(([pad, strides]) =>
    over(
      `conv2d with its gradients, padding ${pad}, strides ${strides}`,
      [
        [
          [2, 5, 6, 3],
          [3, 2, 3, 4],
        ],
      ],
      withGradients((x, filter) => tf.conv2d(x, filter, strides as number, pad)),
      small,
    ),
  ),
  ...[1, 2].flatMap((strides) =>
    over(
      `conv2d of larger images with its gradients, strides ${strides}`,
      [
        [
          [1, 18, 20, 2],
          [3, 3, 2, 3],
        ],
      ],
      withGradients((x, filter) => tf.conv2d(x, filter, strides, 'same')),
      small,
    ),
  ),
  ...over(
    'conv2d of many channels with its gradients',
    [
      [
        [16, 4, 3, 64],
        [3, 3, 64, 65],
      ],
    ],
    withGradients((x, filter) => tf.conv2d(x, filter, 1, 'same')),
    small,
  ),
  ...over(
    'conv2d of single elements, with its gradients',
    [
      [
        [2, 3, 4, 3],
        [1, 1, 3, 5],
      ],
    ],
    withGradients((x, filter) => tf.conv2d(x, filter, 1, 'same')),
    small,
  ),
  ...over(
    'conv2d of single elements with strides of 2, with its gradients',
    [
      [
        [2, 5, 4, 3],
        [1, 1, 3, 2],
      ],
    ],
    withGradients((x, filter) => tf.conv2d(x, filter, 2, 'same')),
    small,
  ),
  ...over(
    'conv2d of an even window over 1 channel, with its gradients',
    [
      [
        [1, 4, 4, 1],
        [2, 4, 1, 1],
      ],
    ],
    withGradients((x, filter) => tf.conv2d(x, filter, 1, 'same')),
    small,
  ),
  ...over(
    'conv2d with dilations, channels first, uneven padding',
    [
      [
        [1, 7, 7, 2],
        [3, 3, 2, 2],
      ],
    ],
    (x, filter) => {
      const [images, weights] = [x as Images, filter as Images];
      return [
        tf.conv2d(images, weights, 1, 'same', 'NHWC', 2),
        tf.conv2d(tf.transpose(images, [0, 3, 1, 2]), weights, 1, 'valid', 'NCHW'),
        tf.conv2d(images, weights, 2, [
          [0, 0],
          [2, 0],
          [1, 1],
          [0, 0],
        ]),
        tf.conv2d(images, weights, 3, 1, 'NHWC', 1, 'ceil'),
      ];
    },
    small,
  ),
  ...over(
    'conv1d with its gradients',
    [
      [
        [2, 9, 3],
        [3, 3, 2],
      ],
    ],
    withGradients((x, filter) =>
      tf.conv1d(x as unknown as tf.Tensor3D, filter as unknown as tf.Tensor3D, 2, 'same'),
    ),
    small,
  ),
  ...over(
    'conv2dTranspose with its gradients',
    [
      [
        [2, 3, 4, 3],
        [3, 3, 2, 3],
      ],
    ],
    withGradients((x, filter) => tf.conv2dTranspose(x, filter, [2, 6, 8, 2], 2, 'same')),
    small,
  ),
  ...(['same', 'valid'] as const).flatMap((pad) =>
    [1, 2].flatMap((strides) =>
      over(
        `conv3d with its gradients, padding ${pad}, strides ${strides}`,
        [
          [
            [1, 4, 5, 3, 2],
            [2, 3, 3, 2, 3],
          ],
        ],
        (...[x, filter]) => {
          const run = (a: tf.Tensor, b: tf.Tensor) =>
            tf.conv3d(a as tf.Tensor5D, b as tf.Tensor5D, strides, pad);
          const loss = (...[a, b]: tf.Tensor[]) => tf.sum(tf.square(run(a!, b!))) as tf.Scalar;
          return [run(x!, filter!), ...tf.grads(loss)([x!, filter!])];
        },
        small,
      ),
    ),
  ),
  ...(['relu', 'relu6', 'sigmoid', 'elu', 'leakyrelu', 'linear', 'prelu'] as const).flatMap(
    (activation) =>
      over(
        `fused conv2d and depthwise conv2d with ${activation}`,
        [[[1, 5, 5, 2], [3, 3, 2, 2], [2], [3, 3, 2, 1]]],
        (x, filter, bias, depthwise) => {
          const rest = {
            leakyreluAlpha: 0.3,
            x: x as Images,
            strides: 1,
            pad: 'same',
            bias: bias!,
            activation,
          } as const;
          const slopes = activation === 'prelu' ? { preluActivationWeights: bias! } : {};
          return [
            tf.fused.conv2d({ ...rest, ...slopes, filter: filter as Images }),
            tf.fused.depthwiseConv2d({ ...rest, ...slopes, filter: depthwise as Images }),
          ];
        },
      ),
  ),
  ...(
    [
      ['same', 1, 1],
      ['valid', 1, 2],
      ['same', 2, 1],
      ['valid', 2, 3],
    ] as const
  ).flatMap(([pad, strides, multiplier]) =>
    over(
      `depthwiseConv2d with its gradients, padding ${pad}, strides ${strides}, ` +
        `multiplier ${multiplier}`,
      [
        [
          [2, 6, 5, 3],
          [3, 3, 3, multiplier],
        ],
      ],
      withGradients((x, filter) => tf.depthwiseConv2d(x, filter, strides, pad)),
      small,
    ),
  ),
  ...over(
    'depthwiseConv2d with dilations',
    [
      [
        [2, 6, 5, 3],
        [3, 3, 3, 2],
      ],
    ],
    (x, filter) => tf.depthwiseConv2d(x as Images, filter as Images, 1, 'same', 'NHWC', 2),
  ),
  ...over(
    'separableConv2d',
    [
      [
        [1, 5, 5, 2],
        [3, 3, 2, 2],
        [1, 1, 4, 3],
      ],
    ],
    (x, depthwise, pointwise) =>
      tf.separableConv2d(x as Images, depthwise as Images, pointwise as Images, 1, 'same'),
  ),
];
