import * as tf from '@tensorflow/tfjs-core';

/** The smallest normal float32: a probability below it counts as this, a loss of 87.3 nats. */
export const probabilityMin = 2 ** -126;

/**
 * Mean −ln of the targets' probabilities, in nats per row.
 * `probabilities` is [rows, classes], `positions` as `targetPositions` gives it.
 */
export function crossEntropy(probabilities: tf.Tensor2D, positions: tf.Tensor1D): tf.Scalar {
  return tf.neg(tf.mean(logTargetProbabilities(probabilities, positions)));
}

/** ln of each target's probability, [rows]; at least −87.3. */
export function logTargetProbabilities(
  probabilities: tf.Tensor2D,
  positions: tf.Tensor1D,
): tf.Tensor1D {
  return tf.log(tf.maximum(takeTargets(probabilities, positions), probabilityMin));
}

/** The target's value of each row of `values` [rows, classes], as [rows]. */
export function takeTargets(values: tf.Tensor2D, positions: tf.Tensor1D): tf.Tensor1D {
  return tf.gather(tf.reshape(values, [values.size]), positions);
}

/**
 * Subtracts `share` from each row's target in `gradient` [rows, classes]: what the targets' one-hot
 * vectors would do, without writing them out.
 */
export function subtractTargets(
  gradient: tf.Tensor2D,
  positions: tf.Tensor1D,
  share = 1,
): tf.Tensor2D {
  const flat = tf.reshape<tf.Rank.R1>(gradient, [gradient.size]);
  const lowered = tf.sub(tf.gather(flat, positions), share);
  const indices = tf.reshape(positions, [positions.size, 1]);
  return tf.reshape(tf.tensorScatterUpdate(flat, indices, lowered), gradient.shape);
}

/** Where the targets [rows] lie in a row-major [rows, classes] matrix: int32 [rows]. */
export function targetPositions(targets: tf.Tensor1D, classes: number): tf.Tensor1D {
  const rowStarts = tf.range(0, targets.size * classes, classes, 'int32');
  return tf.add(rowStarts, targets);
}
