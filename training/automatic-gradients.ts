// TensorFlow.js's core comes without the gradients of its operations; this package registers them.
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import type { TensorMap } from '../compiler/index.ts';

export interface ObjectiveResult {
  /** What is minimised. */
  readonly objective: tf.Scalar;
  /** Whatever else is to be known of the forward pass. */
  readonly others: TensorMap;
}

export interface ObjectiveGradients extends ObjectiveResult {
  /** The objective's gradient for each parameter, by name. */
  readonly gradients: Record<string, tf.Tensor>;
}

/** Computes an objective, other results of the same forward pass and the objective's gradients. */
export function withGradients(
  parameters: TensorMap,
  compute: (parameters: TensorMap) => ObjectiveResult,
): ObjectiveGradients {
  const names = Object.keys(parameters);
  const kept: Record<string, tf.Tensor> = {};
  const gradientsOf = tf.valueAndGrads((...values: tf.Tensor[]) => {
    const { objective, others } = compute(
      Object.fromEntries(names.map((name, index) => [name, values[index]!])),
    );
    // tfjs frees what the function leaves behind but its value; these are freed below.
    for (const [name, tensor] of Object.entries(others)) kept[name] = tf.keep(tf.clone(tensor));
    return objective;
  });
  const { value, grads } = gradientsOf(names.map((name) => parameters[name]!));
  const others = Object.fromEntries(
    Object.entries(kept).map(([name, tensor]) => [name, tf.clone(tensor)]),
  );
  tf.dispose(kept);
  return {
    objective: value as tf.Scalar,
    others,
    gradients: Object.fromEntries(names.map((name, index) => [name, grads[index]!])),
  };
}
