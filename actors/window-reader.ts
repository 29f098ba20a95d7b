import { decodeWindows, type TrainingWindow } from '../datasets/index.ts';
import { type Handle, withCallOptions } from '../runtime/index.ts';
import type { DataShard } from './data-shard.ts';
import { type Patience, retry } from './retry.ts';

export interface WindowReaderOptions {
  readonly shard: Handle<DataShard>;
  readonly batch: number;
  readonly time: number;
  readonly fromCursor: number;
  /** Decoded windows that wait for the training step at most. */
  readonly windowsMax: number;
  readonly patience: Patience;
  /** Ends the reading. */
  readonly signal: AbortSignal;
}

/**
 * Reads ahead of training, so that `next` has a window ready. When its stream breaks (the shard's process died, the
 * bus was away) it opens a new one at the cursor that it reached: no window is repeated or skipped.
 */
export class WindowReader {
  readonly #options: WindowReaderOptions;
  readonly #windows: TrainingWindow[] = [];
  #cursor: number;
  /** Resolved whenever a window is added or taken, or the pump ends. */
  #change: PromiseWithResolvers<void> = Promise.withResolvers();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: WindowReaderOptions) {
    this.#options = options;
    this.#cursor = options.fromCursor;
    options.signal.addEventListener('abort', () => this.#changed(), { once: true });
    this.#pump().catch((error: unknown) => {
      this.#failure = { error };
      this.#changed();
    });
  }

  /** The window at the next cursor; waits only when reading ahead has not kept up. */
  async next(): Promise<TrainingWindow> {
    for (;;) {
      const window = this.#windows.shift();
      if (window !== undefined) {
        this.#changed();
        return window;
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#options.signal.throwIfAborted();
      await this.#change.promise;
    }
  }

  async #pump(): Promise<void> {
    const { patience, signal } = this.#options;
    while (!signal.aborted) {
      await retry(() => this.#readStream(), { ...patience, what: 'read training data', signal });
    }
  }

  /** Returns when the stream ends or breaks after it gave something; throws when it gave nothing. */
  async #readStream(): Promise<void> {
    const { batch, time, windowsMax, signal } = this.#options;
    const shard = withCallOptions(this.#options.shard, { signal });
    const openedAt = this.#cursor;
    try {
      for await (const bytes of shard.windows(openedAt)) {
        for (const window of decodeWindows(bytes, { batch, time })) {
          while (this.#windows.length >= windowsMax && !signal.aborted) {
            await this.#change.promise;
          }
          if (signal.aborted) return;
          this.#windows.push(window);
          this.#cursor = window.cursor + 1;
          this.#changed();
        }
      }
    } catch (error) {
      if (this.#cursor === openedAt) throw error;
    }
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
