import type { Handle } from '../runtime/index.ts';
import { type Patience, retry } from './retry.ts';
import type { TeacherSnapshot } from './teacher-snapshot.ts';
import { type DeltaEncoder, deltaBytes, type WeightDelta, type Weights } from './weight-delta.ts';

export interface PublishedTotals {
  readonly count: number;
  /** Of the deltas as sent. */
  readonly bytes: number;
}

/** Sends a replica's weights to its TeacherSnapshot, one version at a time, while training goes on. */
export class WeightPublisher {
  readonly #snapshot: Handle<TeacherSnapshot>;
  readonly #encoder: DeltaEncoder;
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  #sending: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #totals: PublishedTotals;

  constructor(options: {
    readonly snapshot: Handle<TeacherSnapshot>;
    readonly encoder: DeltaEncoder;
    readonly patience: Patience;
    readonly signal: AbortSignal;
    readonly totals: PublishedTotals;
  }) {
    this.#snapshot = options.snapshot;
    this.#encoder = options.encoder;
    this.#patience = options.patience;
    this.#signal = options.signal;
    this.#totals = options.totals;
  }

  get totals(): PublishedTotals {
    return this.#totals;
  }

  /** Whether the version before is still on its way. */
  get busy(): boolean {
    return this.#sending !== undefined;
  }

  /** Encodes `weights` now and sends them in the background. Waits for the version before. */
  async publish(weights: Weights, version: number): Promise<void> {
    await this.settled();
    // A run stopped in the middle of this exchange has encoded it already; twice would change the bits.
    if (this.#encoder.base?.version === version) return;
    this.#send(this.#encoder.encode(weights, version));
  }

  /** After a restart: sends the checkpoint's version unless the snapshot has it already. */
  async resume(): Promise<void> {
    const base = this.#encoder.base;
    if (base === undefined) return;
    const latest = await this.#retry(() => this.#snapshot.latestVersion());
    if (latest === null || latest < base.version) this.#send(this.#encoder.fullSnapshot());
  }

  /** Resolves when nothing is on its way. @throws what made the last sending fail. */
  async settled(): Promise<void> {
    await this.#sending;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #send(delta: WeightDelta): void {
    this.#sending = this.#deliver(delta)
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#sending = undefined;
      });
  }

  async #deliver(delta: WeightDelta): Promise<void> {
    const answer = await this.#apply(delta);
    if (answer.status === 'applied') return;
    const again = await this.#apply(this.#encoder.fullSnapshot());
    if (again.status === 'gap') {
      throw new Error(`the snapshot refused a full copy of the weights: ${again.reason}`);
    }
  }

  #apply(delta: WeightDelta): ReturnType<Handle<TeacherSnapshot>['apply']> {
    this.#totals = {
      count: this.#totals.count + 1,
      bytes: this.#totals.bytes + deltaBytes(delta),
    };
    return this.#retry(() => this.#snapshot.apply(delta));
  }

  #retry<T>(attempt: () => Promise<T>): Promise<T> {
    return retry(attempt, { ...this.#patience, what: 'publish weights', signal: this.#signal });
  }
}
