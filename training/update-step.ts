import type * as tf from '@tensorflow/tfjs-core';
import type { Model } from './model.ts';
import {
  checkUpdateConfig,
  type UpdateConfig,
  updateParameters,
  updateState,
} from './parameter-update.ts';
import { entriesUnder, floatSpecs, type Step, tidyStep } from './step-state.ts';

export interface UpdateStepConfig extends UpdateConfig {
  readonly model: Model;
}

/**
 * The other half of `createGradientStep`: clipping and the optimizer.
 *
 * State, all float32: `student/<parameter>` and the optimizer's (`updateState`). Inputs, float32:
 * `gradient/<parameter>`, `learningRate` []. Output: `gradientNorm` [], before clipping.
 *
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function createUpdateStep(config: UpdateStepConfig): Step {
  checkUpdateConfig(config);
  const { parameters } = config.model;
  return {
    step: tidyStep((state, inputs) => {
      const gradients = entriesUnder(inputs, 'gradient');
      const learningRate = inputs.learningRate as tf.Scalar;
      const updated = updateParameters(config, state, gradients, learningRate);
      return { state: updated.state, outputs: { gradientNorm: updated.gradientNorm } };
    }),
    state: { ...floatSpecs('student', parameters), ...updateState(config, parameters) },
    inputs: {
      ...floatSpecs('gradient', parameters),
      learningRate: { shape: [], dtype: 'float32' },
    },
  };
}
