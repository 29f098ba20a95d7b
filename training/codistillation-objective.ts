import * as tf from '@tensorflow/tfjs-core';
import {
  logTargetProbabilities,
  subtractTargets,
  takeTargets,
  targetPositions,
} from './cross-entropy.ts';
import { type DistillationLoss, distillationLoss } from './distillation-loss.ts';
import type { Distillation } from './objective-config.ts';

export interface CodistillationObjectiveInputs {
  /** The student's, [rows, classes]. */
  readonly logits: tf.Tensor2D;
  /** The right class of each row, int32 [rows]. */
  readonly targets: tf.Tensor1D;
  /** Each teacher's, [rows, classes]; none during burn-in. */
  readonly teacherLogits: readonly tf.Tensor2D[];
  /** How much each teacher counts, [teachers], adding up to one; alike without it. */
  readonly teacherShares?: tf.Tensor1D;
  /** Weight of the distillation term; the paper's is 1. */
  readonly distillWeight: number | tf.Scalar;
  /** Default `cross-entropy`. */
  readonly distillation?: Distillation;
  /** Default 1. */
  readonly temperature?: number;
  /**
   * A share ε of each target goes to all classes: alike, or by `frequencies` [classes], which add up to one.
   * None without it.
   */
  readonly smoothing?: { readonly share: number; readonly frequencies?: tf.Tensor1D };
}

export interface CodistillationObjective {
  /** φ: mean cross-entropy with the targets as they are, nats per row. */
  readonly loss: tf.Scalar;
  /** ψ: nats per row (`logit-mse`: squared logits), without its weight; 0 if there are no teachers. */
  readonly distillLoss: tf.Scalar;
  /** What is minimised: φ with smoothed targets + distillWeight · ψ. */
  readonly value: tf.Scalar;
  /**
   * The gradient of each row's own `value` for its logits, [rows, classes]. Divide by the number of rows for the
   * gradient of the means: whoever multiplies with it does so in a smaller place.
   */
  rowGradients(): tf.Tensor2D;
}

/**
 * The codistillation objective (Anil et al. 2018, algorithm 1): the usual cross-entropy and a term that pulls the
 * student towards its teachers. With p = softmax(logits), the average q of the teachers' **probabilities** and soft
 * cross-entropy, a row's gradient is (1 + w)·p − w·q − onehot(target).
 */
export function codistillationObjective(
  inputs: CodistillationObjectiveInputs,
): CodistillationObjective {
  const { logits, targets, teacherLogits, distillWeight, smoothing } = inputs;
  const positions = targetPositions(targets, logits.shape[1]);
  const probabilities = tf.softmax(logits);
  const logTargets = logTargetProbabilities(probabilities, positions);
  // Known at the target: its logit less its log-probability.
  const logSums = () => tf.sub<tf.Tensor1D>(takeTargets(logits, positions), logTargets);
  const loss = tf.neg<tf.Scalar>(tf.mean(logTargets));
  const distilled: DistillationLoss | undefined =
    teacherLogits.length === 0
      ? undefined
      : distillationLoss({
          distillation: 'cross-entropy',
          temperature: 1,
          ...inputs,
          probabilities,
          logSums,
        });
  const smoothed = smoothing && smoothedLoss(logits, logSums(), loss, smoothing);
  const distillLoss = distilled?.loss ?? tf.scalar(0);
  return {
    loss,
    distillLoss,
    value: tf.add(smoothed?.loss ?? loss, tf.mul(distillLoss, distillWeight)),
    rowGradients() {
      const pulled = distilled?.pull(distillWeight) ?? probabilities;
      if (smoothed === undefined) return subtractTargets(pulled, positions);
      return subtractTargets(tf.sub(pulled, smoothed.toAll), positions, 1 - smoothed.share);
    },
  };
}

/** (1 − ε)·H(onehot, p) + ε·H(u, p); a row's gradient is p − (1 − ε)·onehot − ε·u. */
function smoothedLoss(
  logits: tf.Tensor2D,
  logSums: tf.Tensor1D,
  loss: tf.Scalar,
  { share, frequencies }: NonNullable<CodistillationObjectiveInputs['smoothing']>,
) {
  const expected = frequencies === undefined ? tf.mean(logits, 1) : tf.dot(logits, frequencies);
  const toAll = tf.mean<tf.Scalar>(tf.sub(logSums, expected));
  return {
    share,
    loss: tf.add<tf.Scalar>(tf.mul(loss, 1 - share), tf.mul(toAll, share)),
    /** ε·u */
    toAll:
      frequencies === undefined ? tf.scalar(share / logits.shape[1]) : tf.mul(frequencies, share),
  };
}
