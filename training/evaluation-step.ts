import * as tf from '@tensorflow/tfjs-core';
import type { StepResult, TensorMap } from '../compiler/index.ts';
import { checkComparable, checkLogits } from './comparable-models.ts';
import { checkInteger } from './config-check.ts';
import { crossEntropy, targetPositions } from './cross-entropy.ts';
import { type Model, weightShapes } from './model.ts';
import { orderRows, orderTargets } from './row-order.ts';
import { entriesUnder, floatSpecs, placeUnder, type Step, tidyStep } from './step-state.ts';

export interface EvaluationStepConfig {
  /** One per replica, at least one; they may be of different kinds, for the same batches and classes. */
  readonly models: readonly Model[];
  readonly batch: number;
}

/**
 * Scores replicas side by side on the same batch.
 *
 * State: `replica<i>/<parameter or statistic>` (read only), `replica<i>.recurrent/<name>`.
 * Inputs: the models', `targets` int32.
 * Outputs, float32: `losses` [replicas] and `ensembleLoss` [] (of the average of the replicas'
 * probabilities), in nats per row; `disagreement` [], the total variation distance between two
 * replicas' predictions, in 0 … 1, and `topAgreement` [], the share of rows for which two
 * replicas' likeliest class is the same: means over rows and over all pairs of replicas
 * (0 and 1 for a single replica). For examples also `probabilities` [replicas, batch, classes].
 *
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function createEvaluationStep(config: EvaluationStepConfig): Step {
  checkEvaluationStepConfig(config);
  const first = config.models[0]!;
  return {
    step: tidyStep((state, inputs) => evaluationStep(config, state, inputs)),
    state: Object.assign(
      {},
      ...config.models.map((model, index) => ({
        ...floatSpecs(`replica${index}`, weightShapes(model)),
        ...floatSpecs(`replica${index}.recurrent`, model.recurrentState(config.batch)),
      })),
    ),
    inputs: {
      ...first.inputs(config.batch),
      targets: { shape: first.targetShape(config.batch), dtype: 'int32' },
    },
  };
}

function evaluationStep(
  { models }: EvaluationStepConfig,
  state: TensorMap,
  inputs: TensorMap,
): StepResult {
  const first = models[0]!;
  const targets = inputs.targets!;
  const replicas = models.map((model, index) => {
    const { logits, recurrentState } = model.predict(
      entriesUnder(state, `replica${index}`),
      entriesUnder(state, `replica${index}.recurrent`),
      inputs,
    );
    const orders = { from: model.rowOrder, to: first.rowOrder };
    return { logits: orderRows(logits, orders, targets.shape), recurrentState };
  });
  const positions = targetPositions(orderTargets(first, targets), first.classes);
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
      ...(first.unit === 'examples' && { probabilities: tf.stack(predictions) }),
    },
  };
}

function comparePredictions(predictions: readonly tf.Tensor2D[]): TensorMap {
  const pairs = predictions.flatMap((one, index) =>
    predictions.slice(index + 1).map((other) => [one, other] as const),
  );
  if (pairs.length === 0) return { disagreement: tf.scalar(0), topAgreement: tf.scalar(1) };
  const distances = pairs.map(([one, other]) =>
    tf.div(tf.mean(tf.sum(tf.abs(tf.sub(one, other)), 1)), 2),
  );
  const agreements = pairs.map(([one, other]) => {
    const same = tf.equal(tf.argMax(one, 1), tf.argMax(other, 1));
    return tf.mean(tf.cast(same, 'float32'));
  });
  return {
    disagreement: tf.mean(tf.stack(distances)),
    topAgreement: tf.mean(tf.stack(agreements)),
  };
}

function checkEvaluationStepConfig({ models, batch }: EvaluationStepConfig): void {
  checkInteger('models.length', models.length, 1);
  checkInteger('batch', batch, 1);
  for (const [index, model] of models.entries()) {
    checkComparable(`models[${index}]`, model, models[0]!);
  }
  checkLogits(models[0]!, batch);
}
