import { delay, type Handle, withCallOptions } from '../../runtime/index.ts';
import { type Patience, retry } from '../retry.ts';
import type { TeacherSnapshot } from './teacher-snapshot.ts';
import type { VersionedWeights } from './weight-delta.ts';

const SILENCE_MS_MAX = 3_600_000;
const RESENT_MS = 100;

/**
 * One teacher as a student sees it: knows which versions have arrived at the teacher's snapshot and fetches them
 * ahead of the step that needs them.
 */
export class TeacherFeed {
  readonly #snapshot: Handle<TeacherSnapshot>;
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  readonly #versionsOnly: boolean;
  #newestVersion = -1;
  #arrival: PromiseWithResolvers<void> = Promise.withResolvers();
  #failure: { readonly error: unknown } | undefined;
  #fetching = false;
  /** At most one version is fetched ahead. */
  #ahead: { readonly version: number; readonly weights: Promise<VersionedWeights> } | undefined;

  constructor(options: {
    readonly snapshot: Handle<TeacherSnapshot>;
    readonly patience: Patience;
    readonly signal: AbortSignal;
    /** Whether a version is known without its weights: the snapshot itself computes with them. */
    readonly versionsOnly: boolean;
  }) {
    this.#snapshot = withCallOptions(options.snapshot, { signal: options.signal });
    this.#patience = options.patience;
    this.#signal = options.signal;
    this.#versionsOnly = options.versionsOnly;
    this.#watch().catch((error: unknown) => this.giveUp(error));
  }

  /** The newest version that has arrived; −1 before the first. */
  get newestVersion(): number {
    return this.#newestVersion;
  }

  /** Whether weights are on their way to this process. */
  get fetching(): boolean {
    return this.#fetching;
  }

  /** Ends the wait for a version, now and later: it throws `error`. */
  giveUp(error: unknown): void {
    this.#failure = { error };
    this.#wake();
  }

  /** Begins to fetch exactly `version`, waiting until it arrives. */
  fetchAhead(version: number): void {
    // Its failure is thrown by `take`; until then it must not count as unhandled.
    this.#fetchOnce(version).catch(() => {});
  }

  /** `version`, or the newest if that one is lost; waits until the teacher has published it. */
  async take(version: number): Promise<VersionedWeights> {
    try {
      return await this.#fetchOnce(version);
    } finally {
      this.#ahead = undefined;
    }
  }

  /** The newest version if it is newer than `version`, without waiting for one to arrive. */
  async takeNewer(version: number): Promise<VersionedWeights | undefined> {
    if (this.#newestVersion <= version) return undefined;
    if (this.#versionsOnly) return { version: this.#newestVersion, weights: {} };
    const newest = await this.#transfer(() => this.#snapshot.weights());
    return newest !== null && newest.version > version ? newest : undefined;
  }

  /** The newest version, once it is `version` or a later one. */
  async takeFrom(version: number): Promise<VersionedWeights> {
    await this.#arrived(version);
    return (await this.takeNewer(version - 1)) ?? (await this.take(version));
  }

  #fetchOnce(version: number): Promise<VersionedWeights> {
    if (this.#ahead?.version !== version) {
      this.#ahead = { version, weights: this.#fetch(version) };
    }
    return this.#ahead.weights;
  }

  async #fetch(version: number): Promise<VersionedWeights> {
    for (;;) {
      await this.#arrived(version);
      if (this.#versionsOnly) return { version, weights: {} };
      const exact = await this.#transfer(() => this.#snapshot.weightsOf(version));
      if (exact !== null) return exact;
      const newest = await this.#transfer(() => this.#snapshot.weights());
      // Lost with a host, or dropped while this student was away: a fresh teacher is better than none.
      if (newest !== null && newest.version > version) return newest;
      // The snapshot restarted without what it had not saved; the Trainer sends that again.
      await delay(this.#patience.clock, RESENT_MS, this.#signal);
      if (this.#failure !== undefined) throw this.#failure.error;
    }
  }

  async #arrived(version: number): Promise<void> {
    while (this.#newestVersion < version) {
      this.#signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure.error;
      await this.#arrival.promise;
    }
  }

  async #watch(): Promise<void> {
    this.#signal.addEventListener('abort', () => this.#wake(), { once: true });
    // Silence is normal here: a snapshot that died ends the stream whatever its time-out.
    const arrivals = withCallOptions(this.#snapshot, { timeoutMs: SILENCE_MS_MAX });
    while (!this.#signal.aborted) {
      await this.#retry(async () => {
        let heard = false;
        try {
          for await (const version of arrivals.arrivals()) {
            heard = true;
            this.#newestVersion = Math.max(this.#newestVersion, version);
            this.#wake();
            if (this.#signal.aborted) return;
          }
        } catch (error) {
          if (!heard) throw error;
        }
      });
    }
  }

  #wake(): void {
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
  }

  async #transfer<T>(attempt: () => Promise<T>): Promise<T> {
    this.#fetching = true;
    try {
      return await this.#retry(attempt);
    } finally {
      this.#fetching = false;
    }
  }

  #retry<T>(attempt: () => Promise<T>): Promise<T> {
    return retry(attempt, {
      ...this.#patience,
      what: "reach a teacher's snapshot",
      signal: this.#signal,
    });
  }
}
