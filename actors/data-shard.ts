import {
  type Batches,
  type BatchPart,
  type DataSource,
  encodeBatches,
  openBatches,
  partOfBatches,
} from '../datasets/index.ts';
import { type ActorDefinition, defineActor } from '../runtime/index.ts';

export interface DataShardOptions {
  /** On the host of this actor. */
  readonly source: DataSource;
  /** Batches in one record batch; a record batch costs about 100 µs however small it is. */
  readonly batchesPerMessage: number;
}

const COUNTED_BATCHES_MAX = 1000;

/**
 * Owns one part of the data set and serves it by cursor. It keeps no position of its own: the cursor
 * lives in the reader's checkpoint, so a restart of either side repeats and skips nothing.
 */
export class DataShard {
  readonly #batches: Batches;
  readonly #batchesPerMessage: number;

  constructor(batches: Batches, batchesPerMessage: number) {
    this.#batches = batches;
    this.#batchesPerMessage = batchesPerMessage;
  }

  /**
   * Record batches from the batch `fromCursor` on, without end: after a pass the shard begins again. The stream's
   * credit bounds how far it runs ahead of its reader. With `part` only that part of each batch.
   */
  async *batches(fromCursor: number, part?: BatchPart): AsyncGenerator<Uint8Array> {
    const batches = part === undefined ? this.#batches : partOfBatches(this.#batches, part);
    for (let cursor = fromCursor; ; cursor += this.#batchesPerMessage) {
      yield await encodeBatches(batches, cursor, this.#batchesPerMessage);
    }
  }

  /**
   * How often each of so many classes is a target, as shares that add up to one. Counted over a pass, or over the
   * first thousand batches of one.
   */
  async frequencies(classes: number): Promise<Float32Array> {
    const counts = new Float64Array(classes);
    const batches = Math.min(this.#batches.count, COUNTED_BATCHES_MAX);
    let total = 0;
    for (let cursor = 0; cursor < batches; cursor++) {
      const { columns } = await this.#batches.read(cursor);
      for (const target of columns.targets ?? []) counts[target] = (counts[target] ?? 0) + 1;
      total += columns.targets?.length ?? 0;
    }
    return Float32Array.from(counts, (count) => count / total);
  }
}

export const dataShard: ActorDefinition<DataShardOptions, DataShard> = defineActor({
  type: 'codistill/data-shard',
  module: import.meta.url,
  methods: { batches: 'stream', frequencies: 'idempotent' },
  async create(_context, options: DataShardOptions) {
    return new DataShard(await openBatches(options.source), options.batchesPerMessage);
  },
});
