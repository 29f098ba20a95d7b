import { type Batch, type BatchPart, type ColumnSpecs, decodeBatches } from '../datasets/index.ts';
import { type Handle, withCallOptions } from '../runtime/index.ts';
import type { DataShard } from './data-shard.ts';
import { type Patience, retry } from './retry.ts';

export interface BatchReaderOptions {
  readonly shard: Handle<DataShard>;
  /** What a batch must have. */
  readonly columns: ColumnSpecs;
  /** Which part of the shard's batches; all of them without it. */
  readonly part?: BatchPart;
  readonly fromCursor: number;
  /** Decoded batches that wait for the training step at most. */
  readonly batchesMax: number;
  readonly patience: Patience;
  /** Ends the reading. */
  readonly signal: AbortSignal;
}

/**
 * Reads ahead of training, so that `next` has a batch ready. When its stream breaks (the shard's process died, the
 * bus was away) it opens a new one at the cursor that it reached: no batch is repeated or skipped.
 */
export class BatchReader {
  readonly #options: BatchReaderOptions;
  readonly #end = new AbortController();
  readonly #signal: AbortSignal;
  readonly #batches: Batch[] = [];
  #cursor: number;
  /** Resolved whenever a batch is added or taken, or the pump ends. */
  #change: PromiseWithResolvers<void> = Promise.withResolvers();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: BatchReaderOptions) {
    this.#options = options;
    this.#cursor = options.fromCursor;
    this.#signal = AbortSignal.any([options.signal, this.#end.signal]);
    this.#signal.addEventListener('abort', () => this.#changed(), { once: true });
    this.#pump().catch((error: unknown) => {
      this.#failure = { error };
      this.#changed();
    });
  }

  /** Of the batch that comes next. */
  get cursor(): number {
    return this.#batches[0]?.cursor ?? this.#cursor;
  }

  /** The batch at the next cursor; waits only when reading ahead has not kept up. */
  async next(): Promise<Batch> {
    for (;;) {
      const batch = this.#batches.shift();
      if (batch !== undefined) {
        this.#changed();
        return batch;
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#signal.throwIfAborted();
      await this.#change.promise;
    }
  }

  /** Reads no further. */
  close(): void {
    this.#end.abort();
  }

  async #pump(): Promise<void> {
    const { patience } = this.#options;
    const signal = this.#signal;
    while (!signal.aborted) {
      await retry(() => this.#readStream(), { ...patience, what: 'read training data', signal });
    }
  }

  /** Returns when the stream ends or breaks after it gave something; throws when it gave nothing. */
  async #readStream(): Promise<void> {
    const { columns, part, batchesMax } = this.#options;
    const signal = this.#signal;
    const shard = withCallOptions(this.#options.shard, { signal });
    const openedAt = this.#cursor;
    try {
      for await (const bytes of shard.batches(openedAt, part)) {
        for (const batch of decodeBatches(bytes, columns)) {
          while (this.#batches.length >= batchesMax && !signal.aborted) {
            await this.#change.promise;
          }
          if (signal.aborted) return;
          this.#batches.push(batch);
          this.#cursor = batch.cursor + 1;
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
