import type * as tf from '@tensorflow/tfjs-core';
import { checkInteger } from './config-check.ts';
import { initialiseParameters } from './initialisation.ts';
import { defaultRestartIntervalSteps, restartLanes } from './lane-restarts.ts';
import { forward } from './language-model.ts';
import {
  checkLanguageModelConfig,
  type LanguageModelConfig,
  languageModelParameters,
  recurrentStateShapes,
} from './language-model-config.ts';
import type { Model } from './model.ts';

export interface LstmModelConfig extends LanguageModelConfig {
  /** Word pieces per lane and step: the window of truncated back-propagation. */
  readonly time: number;
  /**
   * Each lane forgets its recurrent state every so many steps, one lane after another; 0 for never,
   * default 16. It teaches the student to start (see `restartLanes`). Teachers always carry theirs.
   */
  readonly restartIntervalSteps?: number;
}

/**
 * The LSTM language model. Inputs: `tokens` int32 [batch, time]; targets int32 [batch, time], each piece's successor.
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function lstmModel(config: LstmModelConfig): Model {
  checkLanguageModelConfig(config);
  const { time, restartIntervalSteps = defaultRestartIntervalSteps } = config;
  checkInteger('time', time, 1);
  checkInteger('restartIntervalSteps', restartIntervalSteps, 0);
  return {
    classes: config.vocabularySize,
    unit: 'tokens',
    parameters: languageModelParameters(config),
    statistics: {},
    rowOrder: 'time',
    recurrentState: (batch) => recurrentStateShapes(config, batch),
    inputs: (batch) => ({ tokens: { shape: [batch, time], dtype: 'int32' } }),
    targetShape: (batch) => [batch, time],
    initialise: (seed) => initialiseParameters(config, seed),
    predict(weights, recurrentState, { tokens }) {
      return forward(config, weights, recurrentState, tokens as tf.Tensor2D);
    },
    learn({ parameters, recurrentState, stepsTaken, firstLane }, { tokens }, objectiveOf) {
      const started = restartLanes(recurrentState, stepsTaken, {
        intervalSteps: restartIntervalSteps,
        firstLane,
      });
      const student = forward(config, parameters, started, tokens as tf.Tensor2D);
      const { shown, rowGradients } = objectiveOf(student.logits);
      return {
        gradients: student.backward(rowGradients()),
        shown,
        statistics: {},
        recurrentState: student.recurrentState,
      };
    },
  };
}
