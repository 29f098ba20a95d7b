import * as tf from '@tensorflow/tfjs-core';
import {
  logTargetProbabilities,
  subtractTargets,
  takeTargets,
  targetPositions,
} from './cross-entropy.ts';

export interface CodistillationObjectiveInputs {
  /** The student's, [rows, classes]. */
  readonly logits: tf.Tensor2D;
  /** The right class of each row, int32 [rows]. */
  readonly targets: tf.Tensor1D;
  /** Each teacher's, [rows, classes]; none during burn-in. */
  readonly teacherLogits: readonly tf.Tensor2D[];
  /** Weight of the distillation term; the paper's is 1. */
  readonly distillWeight: number;
}

export interface CodistillationObjective {
  /** φ: mean cross-entropy with the targets, nats per row. */
  readonly loss: tf.Scalar;
  /** ψ: mean cross-entropy with the teachers' average, nats per row, without its weight; 0 if none. */
  readonly distillLoss: tf.Scalar;
  /**
   * The gradient of each row's own loss + distillWeight · distillLoss for its logits,
   * [rows, classes]. Divide by the number of rows for the gradient of the means: whoever multiplies
   * with it does so in a smaller place.
   */
  rowGradients(): tf.Tensor2D;
}

/**
 * The codistillation objective (Anil et al. 2018, algorithm 1): the usual cross-entropy and a soft
 * cross-entropy H(q, p) with the average q of the teachers' **probabilities**. Teachers are
 * constants: no gradient is defined for them. With p = softmax(logits), a row's gradient is
 * (1 + w)·p − w·q − onehot(target).
 */
export function codistillationObjective(
  inputs: CodistillationObjectiveInputs,
): CodistillationObjective {
  const { logits, targets, teacherLogits, distillWeight } = inputs;
  const positions = targetPositions(targets, logits.shape[1]);
  const student = tf.softmax(logits);
  const logTargets = logTargetProbabilities(student, positions);
  const loss = tf.neg<tf.Scalar>(tf.mean(logTargets));
  if (teacherLogits.length === 0) {
    return {
      loss,
      distillLoss: tf.scalar(0),
      rowGradients: () => subtractTargets(student, positions),
    };
  }
  const teachers = meanProbabilities(teacherLogits);
  // −Σ q·ln p = ln Σ exp(logits) − Σ q·logits, as q adds up to one. The first term is known at
  // the target: its logit less its log-probability. This saves a logarithm of the whole matrix.
  const expectedLogits = tf.sum(tf.mul(teachers, logits), 1);
  const logSums = tf.sub(takeTargets(logits, positions), logTargets);
  return {
    loss,
    distillLoss: tf.mean(tf.sub(logSums, expectedLogits)),
    rowGradients() {
      const pulled = tf.sub<tf.Tensor2D>(
        tf.mul(student, 1 + distillWeight),
        tf.mul(teachers, distillWeight),
      );
      return subtractTargets(pulled, positions);
    },
  };
}

/** The average of the probabilities (not of the logits) of several models, [rows, classes]. */
export function meanProbabilities(logits: readonly tf.Tensor2D[]): tf.Tensor2D {
  const probabilities = logits.map((one) => tf.softmax(one));
  const sum = probabilities.reduce((total, one) => tf.add(total, one));
  return logits.length === 1 ? sum : tf.div(sum, logits.length);
}
