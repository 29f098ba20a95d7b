import * as tf from '@tensorflow/tfjs-core';
import { withGradients } from './automatic-gradients.ts';
import type { Model, RowObjective } from './model.ts';
import type { Network } from './network.ts';
import { entriesUnder, placeUnder } from './step-state.ts';

/** A network of `dense-network.ts`, `residual-network.ts` or `transformer.ts` as a model with automatic gradients. */
export function networkModel(network: Network, unit: Model['unit']): Model {
  const { classes, parameters, statistics } = network;
  return {
    classes,
    unit,
    parameters,
    statistics,
    rowOrder: 'batch',
    recurrentState: () => ({}),
    inputs: (batch) => network.inputs(batch),
    targetShape: (batch) => network.targetShape(batch),
    initialise: (seed) => network.initialise(seed),
    predict(weights, _, inputs) {
      const { logits } = network.forward(weights, weights, inputs, 'inference');
      return { logits, recurrentState: {} };
    },
    learn(student, inputs, objectiveOf) {
      const { others, gradients } = withGradients(student.parameters, (values) => {
        const output = network.forward(values, student.statistics, inputs, 'training');
        const objective = objectiveOf(output.logits);
        return {
          objective: withRowGradients(output.logits, objective),
          others: {
            ...placeUnder('statistics', output.statistics),
            ...placeUnder('shown', objective.shown),
          },
        };
      });
      return {
        gradients,
        shown: entriesUnder(others, 'shown'),
        statistics: entriesUnder(others, 'statistics'),
        recurrentState: {},
      };
    },
  };
}

/** The objective with the closed form of its gradient for the logits. */
function withRowGradients(logits: tf.Tensor2D, { value, rowGradients }: RowObjective): tf.Scalar {
  const objective = tf.customGrad((...args) => {
    const save = args[1] as unknown as tf.GradSaveFunc;
    save([tf.div(rowGradients(), logits.shape[0])]);
    // A tensor of its own: the value's has a way back to the logits already.
    return { value: tf.clone(value), gradFunc: (dy, saved) => tf.mul(saved[0]!, dy) };
  });
  return objective(logits) as tf.Scalar;
}
