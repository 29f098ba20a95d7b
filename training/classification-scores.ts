/** How well one model predicts. */
export interface ClassificationScores {
  /** Mean cross-entropy, nats per example. */
  readonly loss: number;
  /** Share of examples whose likeliest class is the right one. */
  readonly accuracy: number;
  /** Area under the ROC curve, of two classes; null when there are more, or examples of one class only. */
  readonly auc: number | null;
}

/** The smallest normal float32: a probability below it counts as this. */
const PROBABILITY_MIN = 2 ** -126;

export function classificationScores(
  probabilities: Float32Array,
  targets: Int32Array,
  classes: number,
): ClassificationScores {
  let loss = 0;
  let hits = 0;
  for (let row = 0; row < targets.length; row++) {
    const own = probabilities.subarray(row * classes, (row + 1) * classes);
    const target = targets[row] as number;
    loss -= Math.log(Math.max(own[target] as number, PROBABILITY_MIN));
    if (likeliest(own) === target) hits++;
  }
  return {
    loss: loss / targets.length,
    accuracy: hits / targets.length,
    auc: classes === 2 ? areaUnderCurve(probabilities, targets) : null,
  };
}

/** The average of the models' probabilities, [rows, classes]. */
export function ensembleProbabilities(models: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(models[0]?.length ?? 0);
  for (const one of models) for (let at = 0; at < sum.length; at++) sum[at]! += one[at]!;
  return sum.map((value) => value / models.length);
}

/**
 * The chance that an example of class 1 has a higher probability of it than one of class 0; ties count half
 * (Mann and Whitney).
 */
function areaUnderCurve(probabilities: Float32Array, targets: Int32Array): number | null {
  const order = Uint32Array.from(targets, (_, row) => row).sort(
    (one, other) => probabilities[2 * one + 1]! - probabilities[2 * other + 1]!,
  );
  let rankSum = 0;
  let positives = 0;
  for (let first = 0; first < order.length; ) {
    const value = probabilities[2 * order[first]! + 1];
    let after = first;
    let tied = 0;
    for (; after < order.length && probabilities[2 * order[after]! + 1] === value; after++) {
      if (targets[order[after]!] === 1) tied++;
    }
    // All of a tie have the mean of its ranks, which count from 1.
    rankSum += (tied * (first + 1 + after)) / 2;
    positives += tied;
    first = after;
  }
  const negatives = targets.length - positives;
  if (positives === 0 || negatives === 0) return null;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

function likeliest(probabilities: Float32Array): number {
  let best = 0;
  for (let index = 1; index < probabilities.length; index++) {
    if (probabilities[index]! > probabilities[best]!) best = index;
  }
  return best;
}
