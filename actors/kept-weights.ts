import { copyWeights, type Weights, weightsBytes } from './exchange/weight-delta.ts';

const BYTES_MAX = 64 * 2 ** 20;
const COPIES_MIN = 2;

/**
 * Copies of a replica's weights at the steps that are evaluated, until they are. Training doesn't wait for that: beyond
 * 64 MB of them (two of large models) the oldest go.
 */
export class KeptWeights {
  readonly #copies = new Map<number, Weights>();

  keep(version: number, weights: Weights): void {
    // A replica that went back to its checkpoint comes by again.
    this.#copies.delete(version);
    this.#copies.set(version, copyWeights(weights));
    const copiesMax = Math.max(COPIES_MIN, Math.floor(BYTES_MAX / weightsBytes(weights)));
    const [oldest] = this.#copies.keys();
    if (this.#copies.size > copiesMax && oldest !== undefined) this.#copies.delete(oldest);
  }

  /** Evaluations come in order, so those before are done. */
  get(version: number): Weights | undefined {
    for (const kept of [...this.#copies.keys()].filter((kept) => kept < version)) {
      this.#copies.delete(kept);
    }
    return this.#copies.get(version);
  }
}
