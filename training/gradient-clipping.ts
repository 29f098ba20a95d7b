import * as tf from '@tensorflow/tfjs-core';

/** Keeps the clipping factor finite when all gradients are zero. */
const normMin = 1e-12;

export interface GradientClipping {
  /** The norm of all gradients together, before clipping. */
  readonly norm: tf.Scalar;
  /** What each gradient is to be multiplied by: min(1, clipNorm / norm). */
  readonly factor: tf.Scalar;
}

/**
 * Clipping by global norm (Pascanu, Mikolov, Bengio 2013). It returns the factor instead of
 * clipped gradients, so that the optimizer applies it in its own pass over them.
 */
export function gradientClipping(
  gradients: readonly tf.Tensor[],
  clipNorm: number,
): GradientClipping {
  const squares = gradients.map((gradient) => tf.sum<tf.Scalar>(tf.square(gradient)));
  const norm = tf.sqrt<tf.Scalar>(squares.reduce((total, one) => tf.add(total, one)));
  return { norm, factor: tf.minimum(1, tf.div(clipNorm, tf.maximum(norm, normMin))) };
}
