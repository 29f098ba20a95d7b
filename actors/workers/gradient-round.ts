import type { StateCopy } from '../exchange/state-copy.ts';
import type { Weights } from '../exchange/weight-delta.ts';

/** What one worker gives to a round. */
export interface Share {
  /** Of each parameter, decoded. */
  readonly gradients: Weights;
  /** Averages that the model keeps beside its parameters, as they are after the worker's batch. */
  readonly statistics: Weights;
  /** What its batch showed, such as the loss. */
  readonly measures: Readonly<Record<string, number>>;
  /** What the worker carries on to its next batch. */
  readonly carried?: StateCopy;
}

/** Collects the shares of one step until enough workers have given theirs. */
export class GradientRound {
  readonly #quorum: number;
  readonly #shares = new Map<number, Share>();

  /** @param quorum shares that are enough; the slowest workers' are dropped */
  constructor(quorum: number) {
    this.#quorum = quorum;
  }

  get workers(): number {
    return this.#shares.size;
  }

  get complete(): boolean {
    return this.#shares.size >= this.#quorum;
  }

  /** A worker that restarted gives its share again: the later one counts. */
  add(worker: number, share: Share): void {
    if (!this.complete) this.#shares.set(worker, share);
  }

  /** Of each worker that takes part and said it. */
  get carried(): ReadonlyMap<number, StateCopy> {
    return new Map(
      [...this.#shares].flatMap(([worker, { carried }]) => (carried ? [[worker, carried]] : [])),
    );
  }

  /** Summed in the workers' order, whatever order they came in, so that a step repeats bit for bit. */
  mean(): Omit<Share, 'carried'> {
    const shares = [...this.#shares.entries()]
      .sort(([one], [other]) => one - other)
      .map(([, share]) => share);
    return {
      gradients: meanOf(shares.map(({ gradients }) => gradients)),
      statistics: meanOf(shares.map(({ statistics }) => statistics)),
      measures: meanMeasures(shares.map(({ measures }) => measures)),
    };
  }
}

/** The mean of each array, in float64 until it is done. */
function meanOf(all: readonly Weights[]): Weights {
  const [first = {}, ...others] = all;
  if (others.length === 0) return first;
  const mean: Record<string, Float32Array> = {};
  for (const [name, values] of Object.entries(first)) {
    const total = Float64Array.from(values);
    for (const other of others) addTo(total, other[name]!);
    mean[name] = Float32Array.from(total, (value) => value / all.length);
  }
  return mean;
}

function meanMeasures(all: readonly Share['measures'][]): Share['measures'] {
  const mean = (name: string): number =>
    all.reduce((total, measures) => total + (measures[name] ?? Number.NaN), 0) / all.length;
  return Object.fromEntries(Object.keys(all[0] ?? {}).map((name) => [name, mean(name)]));
}

function addTo(total: Float64Array, values: Float32Array): void {
  for (let i = 0; i < total.length; i++) total[i]! += values[i]!;
}
