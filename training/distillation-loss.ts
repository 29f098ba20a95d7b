import * as tf from '@tensorflow/tfjs-core';
import { probabilityMin } from './cross-entropy.ts';
import type { Distillation } from './objective-config.ts';

export interface DistillationInputs {
  /** The student's, [rows, classes]. */
  readonly logits: tf.Tensor2D;
  /** softmax(logits), which the caller has already. */
  readonly probabilities: tf.Tensor2D;
  /** ln Σ exp(logits) of each row, [rows]. */
  readonly logSums: () => tf.Tensor1D;
  /** Each teacher's, [rows, classes]; at least one. */
  readonly teacherLogits: readonly tf.Tensor2D[];
  /** How much each teacher counts, [teachers], adding up to one; alike without it. */
  readonly teacherShares?: tf.Tensor1D;
  readonly distillation: Distillation;
  readonly temperature: number;
}

export interface DistillationLoss {
  /** ψ: a mean over rows. */
  readonly loss: tf.Scalar;
  /** The gradient of a row's own cross-entropy log-sum and `weight` · ψ: p + weight · ∂ψ, [rows, classes]. */
  pull(weight: number | tf.Scalar): tf.Tensor2D;
}

/** ψ of `Distillation` and its gradient. Teachers are constants: no gradient is defined for them. */
export function distillationLoss(inputs: DistillationInputs): DistillationLoss {
  if (inputs.distillation === 'logit-mse') return logitDistance(inputs);
  return inputs.temperature === 1 ? softCrossEntropy(inputs) : tempered(inputs);
}

/** H(q, p) or KL(q ‖ p); a row's gradient is p − q. */
function softCrossEntropy(inputs: DistillationInputs): DistillationLoss {
  const { logits, probabilities, logSums, distillation } = inputs;
  const teachers = meanProbabilities(inputs.teacherLogits, inputs.teacherShares);
  // −Σ q·ln p = ln Σ exp(logits) − Σ q·logits, as q adds up to one. This saves a logarithm of the whole matrix.
  const expectedLogits = tf.sum(tf.mul(teachers, logits), 1);
  const crossEntropy = tf.mean<tf.Scalar>(tf.sub(logSums(), expectedLogits));
  return {
    loss: distillation === 'kl' ? tf.sub(crossEntropy, meanEntropy(teachers)) : crossEntropy,
    pull: (weight) =>
      tf.sub(
        tf.mul(probabilities, typeof weight === 'number' ? 1 + weight : tf.add(weight, 1)),
        tf.mul(teachers, weight),
      ),
  };
}

/** T²·H(q, p) at temperature T; a row's gradient is T·(p − q). */
function tempered(inputs: DistillationInputs): DistillationLoss {
  const { probabilities, temperature, distillation } = inputs;
  const cooled = (logits: tf.Tensor2D): tf.Tensor2D => tf.div(logits, temperature);
  const logits = cooled(inputs.logits);
  const student = tf.softmax(logits);
  const teachers = meanProbabilities(inputs.teacherLogits.map(cooled), inputs.teacherShares);
  const logSums = tf.logSumExp(logits, 1);
  const crossEntropy = tf.mean<tf.Scalar>(tf.sub(logSums, tf.sum(tf.mul(teachers, logits), 1)));
  const loss = distillation === 'kl' ? tf.sub(crossEntropy, meanEntropy(teachers)) : crossEntropy;
  return {
    loss: tf.mul(loss, temperature ** 2),
    pull: (weight) =>
      tf.add(
        probabilities,
        tf.mul(tf.sub<tf.Tensor2D>(student, teachers), tf.mul(weight, temperature)),
      ),
  };
}

/** ½·Σ (z − t)² / classes over logits less their row's mean; a row's gradient is (z − t) / classes. */
function logitDistance(inputs: DistillationInputs): DistillationLoss {
  const { logits, probabilities, teacherLogits, teacherShares } = inputs;
  const classes = logits.shape[1];
  const difference = tf.sub<tf.Tensor2D>(logits, mean(teacherLogits, teacherShares));
  const distance = tf.sub<tf.Tensor2D>(difference, tf.mean(difference, 1, true));
  return {
    loss: tf.mul(tf.mean(tf.square(distance)), 0.5),
    pull: (weight) => tf.add(probabilities, tf.mul(distance, tf.div(weight, classes))),
  };
}

/** The average of the probabilities (not of the logits) of several models, [rows, classes]. */
function meanProbabilities(logits: readonly tf.Tensor2D[], shares?: tf.Tensor1D): tf.Tensor2D {
  return mean(
    logits.map((one) => tf.softmax(one)),
    shares,
  );
}

function mean(values: readonly tf.Tensor2D[], shares?: tf.Tensor1D): tf.Tensor2D {
  if (shares === undefined) {
    const sum = values.reduce((total, one) => tf.add(total, one));
    return values.length === 1 ? sum : tf.div(sum, values.length);
  }
  const shareOf = tf.unstack(shares);
  return values
    .map((one, index) => tf.mul<tf.Tensor2D>(one, shareOf[index]!))
    .reduce((total, one) => tf.add(total, one));
}

/** In nats per row. */
function meanEntropy(probabilities: tf.Tensor2D): tf.Scalar {
  const logs = tf.log(tf.maximum(probabilities, probabilityMin));
  return tf.neg(tf.mean(tf.sum(tf.mul(probabilities, logs), 1)));
}
