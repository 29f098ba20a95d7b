import type { Predictions } from '../../datasets/index.ts';
import { meanOf } from './statistics.ts';

/** How much the predictions of two models differ on the same rows. */
export interface Churn {
  /**
   * Mean over rows of the total variation distance, 0 to 1: half the sum of absolute differences. With two classes that
   * is the mean absolute difference of the probability, the measure of Anil et al. 2018, section 3.5.
   */
  readonly difference: number;
  /** Share of rows whose likeliest class is another. */
  readonly flips: number;
}

/**
 * `classes` probabilities a row in both. With a threshold, of two classes only, a row flips when its probability of
 * class 1 crosses it. @throws RangeError when they have other sizes.
 */
export function churnBetween(
  one: Float32Array,
  other: Float32Array,
  { classes, threshold }: { readonly classes: number; readonly threshold?: number | undefined },
): Churn {
  if (one.length !== other.length || one.length % classes !== 0 || one.length === 0) {
    throw new RangeError(
      `both have the same rows of ${classes}, got ${one.length} and ${other.length} probabilities`,
    );
  }
  const decide = (values: Float32Array, at: number): number | boolean =>
    threshold === undefined ? likeliest(values, at, classes) : values[at + 1]! >= threshold;
  const rows = one.length / classes;
  let difference = 0;
  let flips = 0;
  for (let at = 0; at < one.length; at += classes) {
    for (let index = at; index < at + classes; index++) {
      difference += Math.abs(one[index]! - other[index]!) / 2;
    }
    if (decide(one, at) !== decide(other, at)) flips += 1;
  }
  return { difference: difference / rows, flips: flips / rows };
}

/** Mean cross-entropy with the targets, nats per row. */
export function logLoss(probabilities: Float32Array, targets: Int32Array, classes: number): number {
  let sum = 0;
  for (const [row, target] of targets.entries()) {
    // A model that is sure and wrong would be infinitely bad; single floats tell no less than this from 0.
    sum -= Math.log(Math.max(probabilities[row * classes + target]!, PROBABILITY_MIN));
  }
  return sum / targets.length;
}

const PROBABILITY_MIN = 1e-7;

/** What is served of a run with several models: the first, or the average of all. */
export const servedChoices = ['first', 'average'] as const;
export type Served = (typeof servedChoices)[number];

export interface ServedPredictions {
  readonly classes: number;
  /** [rows, classes] */
  readonly probabilities: Float32Array;
  readonly targets: Int32Array | undefined;
}

export function servedPredictions(
  { models, classes, targets }: Predictions,
  which: Served,
): ServedPredictions {
  const all = [...models.values()];
  const [first] = all;
  if (first === undefined) throw new RangeError('no model has predictions');
  const average = () => first.map((_, index) => meanOf(all.map((values) => values[index]!)));
  return { classes, targets, probabilities: which === 'first' ? first : average() };
}

/** Every other row: settings are chosen by the first, third, … and judged by the second, fourth, …. */
export type Half = 'choosing' | 'judging';

export function halfOf(served: ServedPredictions, half: Half): ServedPredictions {
  const { classes, probabilities, targets } = served;
  const first = half === 'choosing' ? 0 : 1;
  const isKept = (row: number): boolean => row % 2 === first;
  return {
    classes,
    probabilities: probabilities.filter((_, index) => isKept(Math.floor(index / classes))),
    targets: targets?.filter((_, row) => isKept(row)),
  };
}

function likeliest(values: Float32Array, from: number, classes: number): number {
  let best = from;
  for (let index = from + 1; index < from + classes; index++) {
    if (values[index]! > values[best]!) best = index;
  }
  return best - from;
}
