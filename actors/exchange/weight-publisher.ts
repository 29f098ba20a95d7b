import { delay, type Handle, withCallOptions } from '../../runtime/index.ts';
import { type Patience, retry } from '../retry.ts';
import type { TeacherSnapshot } from './teacher-snapshot.ts';
import {
  type DeltaEncoder,
  deltaBytes,
  fullDelta,
  type VersionedWeights,
  type WeightDelta,
  type Weights,
} from './weight-delta.ts';

export interface PublishedTotals {
  readonly count: number;
  /** Of the deltas as sent. */
  readonly bytes: number;
}

/** Versions that a snapshot which died may have to be given again. */
const HISTORY_VERSIONS_MAX = 8;
const SILENCE_MS_MAX = 3_600_000;
const REOPEN_MS = 100;

/**
 * Sends a replica's weights to its TeacherSnapshot, one version at a time, while training goes on. It remembers
 * the last versions, so a snapshot that restarts gets what it had not saved yet.
 */
export class WeightPublisher {
  readonly #snapshot: Handle<TeacherSnapshot>;
  readonly #encoder: DeltaEncoder;
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  readonly #onFailure: (error: unknown) => void;
  #history: readonly VersionedWeights[];
  #sending: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #totals: PublishedTotals;

  constructor(options: {
    readonly snapshot: Handle<TeacherSnapshot>;
    readonly encoder: DeltaEncoder;
    readonly patience: Patience;
    readonly signal: AbortSignal;
    readonly totals: PublishedTotals;
    /** Hears at once that no version arrives any more; `settled` throws it as well. */
    readonly onFailure: (error: unknown) => void;
  }) {
    this.#snapshot = withCallOptions(options.snapshot, { signal: options.signal });
    this.#encoder = options.encoder;
    this.#patience = options.patience;
    this.#signal = options.signal;
    this.#totals = options.totals;
    this.#onFailure = options.onFailure;
    const { base } = options.encoder;
    this.#history = base === undefined ? [] : [base];
    this.#watch().catch((error: unknown) => this.#fail(error));
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
    const delta = this.#encoder.encode(weights, version);
    const base = this.#encoder.base as VersionedWeights;
    this.#history = [...this.#history, base].slice(-HISTORY_VERSIONS_MAX);
    this.#send(() => this.#deliver(delta));
  }

  /** Sends `weights` of `step` instead of those of `version`, an earlier one that nobody can send any more, if it is missing. */
  async publishMissed(version: number, weights: Weights, step: number): Promise<void> {
    const latest = await this.#retry(() => this.#snapshot.latestVersion());
    if (latest === null || latest < version) await this.publish(weights, step);
  }

  /** After a restart: sends the checkpoint's version unless the snapshot has it already. */
  resume(): void {
    this.#send(() => this.#deliverMissing());
  }

  /** Resolves when nothing is on its way. @throws what made the last sending fail. */
  async settled(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** One sending after the other. */
  #send(deliver: () => Promise<void>): void {
    const sending = (this.#sending ?? Promise.resolve())
      .then(deliver)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        if (this.#sending === sending) this.#sending = undefined;
      });
    this.#sending = sending;
  }

  #fail(error: unknown): void {
    this.#failure = { error };
    this.#onFailure(error);
  }

  async #deliver(delta: WeightDelta): Promise<void> {
    const answer = await this.#apply(delta);
    if (answer.status === 'gap') await this.#deliverMissing();
  }

  /** Sends in full what the snapshot lacks of the versions that are remembered. */
  async #deliverMissing(): Promise<void> {
    const latest = (await this.#retry(() => this.#snapshot.latestVersion())) ?? -1;
    for (const entry of this.#history.filter(({ version }) => version > latest)) {
      const answer = await this.#apply(fullDelta(entry));
      if (answer.status === 'applied') continue;
      throw new Error(`the snapshot refused a full copy of the weights: ${answer.reason}`);
    }
  }

  /** A stream that breaks means that the snapshot may have restarted from an older state. */
  async #watch(): Promise<void> {
    const snapshot = withCallOptions(this.#snapshot, { timeoutMs: SILENCE_MS_MAX });
    while (!this.#signal.aborted) {
      try {
        for await (const _version of snapshot.arrivals());
      } catch {
        // Of interest is only that it broke; if the snapshot is gone for good, the next sending says so.
      }
      if (this.#signal.aborted) return;
      await delay(this.#patience.clock, REOPEN_MS, this.#signal).catch(() => {});
      this.resume();
      await this.#sending;
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
