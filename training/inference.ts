import * as tf from '@tensorflow/tfjs-core';
import type { TensorMap, TensorSpec } from '../compiler/index.ts';
import type { Model } from './model.ts';
import { orderRows } from './row-order.ts';
import { entriesUnder, floatSpecs, placeUnder } from './step-state.ts';

/** A model as a function for `exportOnnx`. */
export interface Inference {
  readonly fn: (weights: TensorMap, inputs: TensorMap) => TensorMap;
  readonly inputs: Readonly<Record<string, TensorSpec>>;
}

/**
 * A model's forward pass over one batch.
 *
 * Weights: as `weightShapes` names them. Inputs: the model's own, and `recurrent/<name>` of what it carries from batch
 * to batch, zeros at first. Outputs, float32: `logits` [...target shape, classes], so [batch, time, vocabulary] of texts
 * and [batch, classes] of examples, and `next/<name>`: the recurrent state for the batch that follows.
 */
export function createInference(model: Model, batch: number): Inference {
  const shape = model.targetShape(batch);
  const orders = { from: model.rowOrder, to: 'batch' } as const;
  return {
    inputs: {
      ...model.inputs(batch),
      ...floatSpecs('recurrent', model.recurrentState(batch)),
    },
    fn: (weights, inputs) => {
      const state = entriesUnder(inputs, 'recurrent');
      const { logits, recurrentState } = model.predict(weights, state, inputs);
      return {
        logits: tf.reshape(orderRows(logits, orders, shape), [...shape, model.classes]),
        ...placeUnder('next', recurrentState),
      };
    },
  };
}
