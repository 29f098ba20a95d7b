/** An event of a job as bytes, and when it was kept, by the clock of whoever keeps it. */
export interface StoredEvent {
  readonly at: Date;
  readonly bytes: Uint8Array;
}

export interface ReadOptions {
  /** Also what comes, until the signal aborts. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** Keeps the events of jobs in the order in which they came. */
export interface EventStore {
  /** The most that one event may have. */
  readonly eventBytesMax: number;
  /** The number of a job's last event, 0 before the first. @throws Error when the store was out of reach for too long. */
  last(job: string): Promise<number>;
  /**
   * Puts an event behind event `after`, once, however often that has to be tried. `mayWrite` is asked before each try.
   * @returns its number, or undefined when it was not kept: another one is the last by now, or `mayWrite` refused.
   * @throws Error when the store was out of reach for too long.
   */
  append(
    job: string,
    bytes: Uint8Array,
    after: number,
    mayWrite: () => Promise<boolean>,
  ): Promise<number | undefined>;
  read(job: string, options: ReadOptions): AsyncIterable<StoredEvent>;
}
