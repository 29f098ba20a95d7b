import * as tf from '@tensorflow/tfjs-core';
import { type Case, int, over, whole } from './case.ts';

const withGradient =
  (pool: (x: tf.Tensor) => tf.Tensor) =>
  (x?: tf.Tensor): tf.Tensor[] => {
    const weighted = (a: tf.Tensor) => {
      const y = pool(a);
      return tf.sum(tf.mul(y, tf.reshape(tf.range(1, y.size + 1), y.shape))) as tf.Scalar;
    };
    return [pool(x!), tf.grad(weighted)(x!)];
  };

const kinds = [
  ['same', 2, 2],
  ['valid', 2, 2],
  ['same', 3, 2],
  ['valid', 3, 1],
  [1, 3, 2],
  ['valid', [2, 3], [1, 2]],
] as const;

export const poolingCases: readonly Case[] = [
  ...kinds.flatMap(([pad, size, strides]) =>
    [tf.maxPool, tf.avgPool].flatMap((pool, index) =>
      over(
        `${['maxPool', 'avgPool'][index]} with its gradient, padding ${pad}, window ${size}, ` +
          `strides ${strides}`,
        [[[2, 7, 6, 3]]],
        withGradient((x) => pool(x as tf.Tensor4D, size as number, strides as number, pad)),
      ),
    ),
  ),
  ...over(
    'maxPool of equal elements, whose gradient goes to the first',
    [[[1, 6, 6, 2]]],
    withGradient((x) => tf.maxPool(tf.relu(x) as tf.Tensor4D, 3, 2, 'same')),
    whole,
  ),
  ...(['same', 'valid'] as const).flatMap((pad) =>
    [tf.maxPool3d, tf.avgPool3d].flatMap((pool, index) =>
      over(
        `${['maxPool3d', 'avgPool3d'][index]} with its gradient, padding ${pad}`,
        [[[1, 4, 5, 4, 2]]],
        withGradient((x) => pool(x as tf.Tensor5D, 2, 2, pad)),
      ),
    ),
  ),
  ...kinds.flatMap(([pad, size, strides]) =>
    [false, true].flatMap((withBatches) =>
      over(
        `maxPoolWithArgmax, padding ${pad}, window ${size}, strides ${strides}, ` +
          `${withBatches ? 'with' : 'without'} batches`,
        [[[2, 7, 6, 3]]],
        (x) => {
          const images = x as tf.Tensor4D;
          const pooled = tf.maxPoolWithArgmax(
            images,
            size as number,
            strides as number,
            pad,
            withBatches,
          );
          return [pooled.result!, pooled.indexes!];
        },
      ),
    ),
  ),
  ...over(
    'maxPoolWithArgmax of equal elements and of whole numbers',
    [[[1, 6, 6, 2]]],
    (x) => {
      const images = x as tf.Tensor4D;
      return [tf.relu(images), int(images)].flatMap((each) =>
        Object.values(tf.maxPoolWithArgmax(each as tf.Tensor4D, 3, 2, 'same')),
      );
    },
    whole,
  ),
  ...over('tf.pool with dilations, which goes through batches', [[[1, 7, 7, 2]]], (x) =>
    tf.pool(x as tf.Tensor4D, 2, 'max', 'valid', 2),
  ),
];
