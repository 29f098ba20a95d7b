import * as tf from '@tensorflow/tfjs-core';
import type { Model, RowOrder } from './model.ts';

/** Targets, int32 of any shape, as one row of a model's logits after the other. */
export function orderTargets(
  { rowOrder }: Pick<Model, 'rowOrder'>,
  targets: tf.Tensor,
): tf.Tensor1D {
  return rowOrder === 'time'
    ? timeMajor(targets as tf.Tensor2D)
    : tf.reshape(targets, [targets.size]);
}

/** Reorders [batch, time] to [time·batch], so that each step's rows lie together. */
export function timeMajor(values: tf.Tensor2D): tf.Tensor1D {
  return tf.reshape(tf.transpose(values), [values.size]);
}

/** Logits [rows, classes] in the order of another model's, for targets of `shape`. */
export function orderRows(
  logits: tf.Tensor2D,
  orders: { readonly from: RowOrder; readonly to: RowOrder },
  shape: readonly number[],
): tf.Tensor2D {
  const [batch = 1, time = 1] = shape;
  if (orders.from === orders.to) return logits;
  const sizes = orders.from === 'time' ? [time, batch] : [batch, time];
  const cube = tf.reshape(logits, [...sizes, logits.shape[1]]);
  return tf.reshape(tf.transpose(cube, [1, 0, 2]), logits.shape);
}
