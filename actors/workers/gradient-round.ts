import type { StateCopy } from '../exchange/state-copy.ts';
import type { Weights } from '../exchange/weight-delta.ts';

/** What one worker, or a branch of several, gives to a round. */
export interface Share {
  /** The workers whose mean it is. */
  readonly workers: readonly number[];
  /** Of each parameter, decoded. */
  readonly gradients: Weights;
  /** Averages that the model keeps beside its parameters, as they are after the worker's batch. */
  readonly statistics: Weights;
  /** What its batch showed, such as the loss. */
  readonly measures: Readonly<Record<string, number>>;
  /** What each worker that says so carries on to its next batch. */
  readonly carried: ReadonlyMap<number, StateCopy>;
}

/** What a round comes to. */
export type MeanShare = Pick<Share, 'gradients' | 'statistics' | 'measures'>;

/** Collects the shares of one step until enough workers have given theirs. */
export class GradientRound {
  readonly #quorum: number;
  readonly #shares = new Map<number, Share>();

  /** @param quorum workers that are enough; the slowest ones' shares are dropped */
  constructor(quorum: number) {
    this.#quorum = quorum;
  }

  get workers(): number {
    return totalOf([...this.#shares.values()].map(({ workers }) => workers.length));
  }

  get complete(): boolean {
    return this.workers >= this.#quorum;
  }

  /** Who restarted gives its share again: the later one counts. */
  add(share: Share): void {
    if (!this.complete) this.#shares.set(share.workers[0]!, share);
  }

  /** Of each worker that takes part and said it. */
  get carried(): ReadonlyMap<number, StateCopy> {
    return new Map(this.#inOrder.flatMap(({ carried }) => [...carried]));
  }

  /** Summed in the workers' order, whatever order they came in, so that a step repeats bit for bit. */
  mean(): MeanShare {
    const shares = this.#inOrder;
    const weights = shares.map(({ workers }) => workers.length);
    const meansOf = (all: readonly Weights[]) => meanOf(all, weights);
    return {
      gradients: meansOf(shares.map(({ gradients }) => gradients)),
      statistics: meansOf(shares.map(({ statistics }) => statistics)),
      measures: meanMeasures(
        shares.map(({ measures }) => measures),
        weights,
      ),
    };
  }

  get #inOrder(): readonly Share[] {
    return [...this.#shares].sort(([one], [other]) => one - other).map(([, share]) => share);
  }
}

/** The mean of each array, in float64 until it is done. */
function meanOf(all: readonly Weights[], weights: readonly number[]): Weights {
  const [first = {}, ...others] = all;
  if (others.length === 0) return first;
  const whole = totalOf(weights);
  const mean: Record<string, Float32Array> = {};
  for (const name of Object.keys(first)) {
    const total = new Float64Array(first[name]!.length);
    for (const [index, one] of all.entries()) addTo(total, one[name]!, weights[index]!);
    mean[name] = Float32Array.from(total, (value) => value / whole);
  }
  return mean;
}

function meanMeasures(
  all: readonly Share['measures'][],
  weights: readonly number[],
): Share['measures'] {
  const mean = (name: string): number =>
    totalOf(all.map((measures, index) => (measures[name] ?? Number.NaN) * weights[index]!)) /
    totalOf(weights);
  return Object.fromEntries(Object.keys(all[0] ?? {}).map((name) => [name, mean(name)]));
}

function totalOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function addTo(total: Float64Array, values: Float32Array, weight: number): void {
  for (let i = 0; i < total.length; i++) total[i]! += weight * values[i]!;
}
