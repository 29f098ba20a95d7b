import * as tf from '@tensorflow/tfjs-core';
import type { StepResult, TensorMap } from '../compiler/index.ts';
import { checkInteger } from './config-check.ts';
import { crossEntropy, targetPositions } from './cross-entropy.ts';
import { forward, timeMajor } from './language-model.ts';
import {
  checkLanguageModelConfig,
  type LanguageModelConfig,
  languageModelParameters,
  recurrentStateShapes,
} from './language-model-config.ts';
import { entriesUnder, floatSpecs, placeUnder, type Step, tidyStep } from './step-state.ts';
import { checkLogits, checkSameVocabulary } from './training-step.ts';

export interface EvaluationStepConfig {
  /** One per replica, at least one; sizes may differ but for the vocabulary. */
  readonly models: readonly LanguageModelConfig[];
  readonly batch: number;
  readonly time: number;
}

/**
 * Scores replicas side by side on the same window of text.
 *
 * State: `replica<i>/<parameter>` (read only), `replica<i>.recurrent/<name>`.
 * Inputs: `tokens` and `targets` int32 [batch, time].
 * Outputs, float32: `losses` [replicas] and `ensembleLoss` [] (of the average of the replicas'
 * probabilities), in nats per token; `disagreement` [], the total variation distance between two
 * replicas' predictions, in 0 … 1, and `topTokenAgreement` [], the share of tokens for which two
 * replicas' likeliest word piece is the same: means over tokens and over all pairs of replicas
 * (0 and 1 for a single replica).
 *
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function createEvaluationStep(config: EvaluationStepConfig): Step {
  checkEvaluationStepConfig(config);
  const window = { shape: [config.batch, config.time], dtype: 'int32' } as const;
  return {
    step: tidyStep((state, inputs) => evaluationStep(config, state, inputs)),
    state: Object.assign(
      {},
      ...config.models.map((model, index) => ({
        ...floatSpecs(`replica${index}`, languageModelParameters(model)),
        ...floatSpecs(`replica${index}.recurrent`, recurrentStateShapes(model, config.batch)),
      })),
    ),
    inputs: { tokens: window, targets: window },
  };
}

function evaluationStep(
  config: EvaluationStepConfig,
  state: TensorMap,
  inputs: TensorMap,
): StepResult {
  const replicas = config.models.map((model, index) =>
    forward(
      model,
      entriesUnder(state, `replica${index}`),
      entriesUnder(state, `replica${index}.recurrent`),
      inputs.tokens as tf.Tensor2D,
    ),
  );
  const targets = timeMajor(inputs.targets as tf.Tensor2D);
  const positions = targetPositions(targets, config.models[0]!.vocabularySize);
  const predictions = replicas.map(({ logits }) => tf.softmax(logits));
  const sum = predictions.reduce((total, one) => tf.add(total, one));
  const ensemble = tf.div<tf.Tensor2D>(sum, predictions.length);
  return {
    state: Object.assign(
      {},
      ...replicas.map(({ recurrentState }, index) =>
        placeUnder(`replica${index}.recurrent`, recurrentState),
      ),
    ),
    outputs: {
      losses: tf.stack(predictions.map((one) => crossEntropy(one, positions))),
      ensembleLoss: crossEntropy(ensemble, positions),
      ...comparePredictions(predictions),
    },
  };
}

function comparePredictions(predictions: readonly tf.Tensor2D[]): TensorMap {
  const pairs = predictions.flatMap((one, index) =>
    predictions.slice(index + 1).map((other) => [one, other] as const),
  );
  if (pairs.length === 0) return { disagreement: tf.scalar(0), topTokenAgreement: tf.scalar(1) };
  const distances = pairs.map(([one, other]) =>
    tf.div(tf.mean(tf.sum(tf.abs(tf.sub(one, other)), 1)), 2),
  );
  const agreements = pairs.map(([one, other]) => {
    const same = tf.equal(tf.argMax(one, 1), tf.argMax(other, 1));
    return tf.mean(tf.cast(same, 'float32'));
  });
  return {
    disagreement: tf.mean(tf.stack(distances)),
    topTokenAgreement: tf.mean(tf.stack(agreements)),
  };
}

function checkEvaluationStepConfig({ models, batch, time }: EvaluationStepConfig): void {
  checkInteger('models.length', models.length, 1);
  checkInteger('batch', batch, 1);
  checkInteger('time', time, 1);
  for (const [index, model] of models.entries()) {
    checkLanguageModelConfig(model, `models[${index}]`);
    checkSameVocabulary(`models[${index}]`, model, models[0]!);
  }
  checkLogits(models[0]!, batch, time);
}
