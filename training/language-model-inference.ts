import type * as tf from '@tensorflow/tfjs-core';
import type { TensorMap, TensorSpec } from '../compiler/index.ts';
import { checkInteger } from './config-check.ts';
import { forward } from './language-model.ts';
import {
  checkLanguageModelConfig,
  type LanguageModelConfig,
  recurrentStateShapes,
} from './language-model-config.ts';
import { entriesUnder, floatSpecs, placeUnder } from './step-state.ts';

/** A language model as a function for `exportOnnx`. */
export interface LanguageModelInference {
  readonly fn: (weights: TensorMap, inputs: TensorMap) => TensorMap;
  readonly inputs: Readonly<Record<string, TensorSpec>>;
}

/**
 * The language model's forward pass over one window.
 *
 * Weights: as `languageModelParameters` names them. Inputs: `tokens` int32 [batch, time] and `recurrent/<name>`, as
 * `recurrentStateShapes` names them, zeros for the beginning of a text. Outputs, float32: `logits`
 * [time·batch, vocabulary], row t·batch + b, and `next/<name>`: the recurrent state for the window that follows.
 *
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function createInference(
  config: LanguageModelConfig,
  { batch, time }: { readonly batch: number; readonly time: number },
): LanguageModelInference {
  checkLanguageModelConfig(config);
  checkInteger('batch', batch, 1);
  checkInteger('time', time, 1);
  return {
    inputs: {
      tokens: { shape: [batch, time], dtype: 'int32' },
      ...floatSpecs('recurrent', recurrentStateShapes(config, batch)),
    },
    fn: (weights, inputs) => {
      const state = entriesUnder(inputs, 'recurrent');
      const tokens = inputs.tokens as tf.Tensor2D;
      const { logits, recurrentState } = forward(config, weights, state, tokens);
      return { logits, ...placeUnder('next', recurrentState) };
    },
  };
}
