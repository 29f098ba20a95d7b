import { type Batches, type DataSource, encodeBatches, openBatches } from '../datasets/index.ts';
import { type ActorDefinition, defineActor } from '../runtime/index.ts';

export interface DataShardOptions {
  /** On the host of this actor. */
  readonly source: DataSource;
  /** Batches in one record batch; a record batch costs about 100 µs however small it is. */
  readonly batchesPerMessage: number;
}

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
   * credit bounds how far it runs ahead of its reader.
   */
  async *batches(fromCursor: number): AsyncGenerator<Uint8Array> {
    for (let cursor = fromCursor; ; cursor += this.#batchesPerMessage) {
      yield await encodeBatches(this.#batches, cursor, this.#batchesPerMessage);
    }
  }
}

export const dataShard: ActorDefinition<DataShardOptions, DataShard> = defineActor({
  type: 'codistill/data-shard',
  module: import.meta.url,
  methods: { batches: 'stream' },
  async create(_context, options: DataShardOptions) {
    return new DataShard(await openBatches(options.source), options.batchesPerMessage);
  },
});
