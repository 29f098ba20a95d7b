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
  /**
   * Puts an event behind those that are there, once, however often that has to be tried. `mayWrite` is asked before each
   * try; what it refuses is not kept. @throws Error when the store was out of reach for too long.
   */
  append(job: string, bytes: Uint8Array, mayWrite: () => Promise<boolean>): Promise<void>;
  read(job: string, options: ReadOptions): AsyncIterable<StoredEvent>;
}
