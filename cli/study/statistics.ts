/** A mean with the interval that covers the true one in 95 of 100 studies like this. */
export interface Estimate {
  readonly mean: number;
  /** `null`: a single value has no interval. */
  readonly interval: readonly [lower: number, upper: number] | null;
  /** Independent values (seeds) that it was made of. */
  readonly count: number;
}

const CONFIDENCE = 0.95;

/** The mean of independent values with Student's interval. @throws RangeError when there are none. */
export function estimateMean(values: readonly number[]): Estimate {
  const count = values.length;
  const mean = meanOf(values);
  const sumOfSquares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    mean,
    count,
    interval: studentInterval(mean, Math.sqrt(sumOfSquares / (count - 1) / count), count),
  };
}

/**
 * The estimate of a statistic of several independent things that isn't their mean, such as the mean over all pairs:
 * Tukey's jackknife, which leaves out one thing after the other. `statistic` gets the indices that are kept.
 */
export function jackknife(count: number, statistic: (kept: readonly number[]) => number): Estimate {
  const all = Array.from({ length: count }, (_, index) => index);
  const whole = statistic(all);
  // What is left of two things is none that a statistic of pairs could be made of.
  if (count < 3) return { mean: whole, interval: null, count };
  const partial = all.map((left) => statistic(all.filter((index) => index !== left)));
  const mean = meanOf(partial);
  const sumOfSquares = partial.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const error = Math.sqrt(((count - 1) / count) * sumOfSquares);
  return { mean: whole, count, interval: studentInterval(whole, error, count) };
}

/** The estimate of a ratio: of the logarithms' mean, so that 2 and 0.5 are equally far from 1. */
export function estimateRatio(ratios: readonly number[]): Estimate {
  return exponential(estimateMean(ratios.map(Math.log)));
}

/** @throws RangeError when there are no values. */
export function meanOf(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the mean of no values was asked for');
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A point of a curve that falls on the whole. */
export interface CurvePoint {
  readonly step: number;
  readonly loss: number;
}

/**
 * The step at which a curve first comes down to `target`, on the straight line between two of its points;
 * `null` (censored) when it never does. A curve that begins below was there by its first point.
 */
export function stepsToTarget(curve: readonly CurvePoint[], target: number): number | null {
  const index = curve.findIndex(({ loss }) => loss <= target);
  const point = curve[index];
  if (point === undefined) return null;
  const before = curve[index - 1];
  if (before === undefined) return point.step;
  const share = (before.loss - target) / (before.loss - point.loss);
  return before.step + share * (point.step - before.step);
}

/**
 * The value that a Student variable with `degrees` of freedom stays below with a probability of `share`, 0.5 … 1.
 * By bisection of its distribution function.
 */
export function studentQuantile(share: number, degrees: number): number {
  if (!(share >= 0.5 && share < 1)) throw new RangeError(`share is from 0.5 to 1, got ${share}`);
  if (!(degrees >= 1)) throw new RangeError(`degrees of freedom are at least 1, got ${degrees}`);
  let low = 0;
  let high = 1;
  while (studentDistribution(high, degrees) < share) high *= 2;
  for (let halving = 0; halving < 100; halving++) {
    const middle = (low + high) / 2;
    if (studentDistribution(middle, degrees) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function studentInterval(mean: number, error: number, count: number): Estimate['interval'] {
  if (count < 2) return null;
  const reach = studentQuantile((1 + CONFIDENCE) / 2, count - 1) * error;
  return [mean - reach, mean + reach];
}

/**
 * P(T ≤ t) for t ≥ 0 and a whole number of degrees: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4.
 */
function studentDistribution(t: number, degrees: number): number {
  const angle = Math.atan(t / Math.sqrt(degrees));
  const cosine = Math.cos(angle);
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let power = isOdd ? 3 : 2; power < degrees; power += 2) {
    term *= ((power - 1) / power) * cosine ** 2;
    sum += term;
  }
  const within = isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
  return (1 + within) / 2;
}

/** The estimate of a quantity from that of its logarithm. */
export function exponential({ mean, interval, count }: Estimate): Estimate {
  return {
    mean: Math.exp(mean),
    interval: interval && [Math.exp(interval[0]), Math.exp(interval[1])],
    count,
  };
}
