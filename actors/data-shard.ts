import { createWindows, encodeWindows, openTokenShard, type Windows } from '../datasets/index.ts';
import { type ActorDefinition, defineActor } from '../runtime/index.ts';

export interface DataShardOptions {
  /** A token file on the host of this actor. */
  readonly path: string;
  /** Lanes side by side, each a contiguous part of the shard. */
  readonly batch: number;
  /** Tokens of one lane in one window. */
  readonly time: number;
  /** Windows in one record batch; a batch costs about 100 µs however small it is. */
  readonly windowsPerBatch: number;
}

/**
 * Owns one disjoint part of the data set and serves it by cursor. It keeps no position of its own: the cursor
 * lives in the reader's checkpoint, so a restart of either side repeats and skips nothing.
 */
export class DataShard {
  readonly #windows: Windows;
  readonly #windowsPerBatch: number;

  constructor(windows: Windows, windowsPerBatch: number) {
    this.#windows = windows;
    this.#windowsPerBatch = windowsPerBatch;
  }

  /**
   * Record batches from window `fromCursor` on, without end: after a pass the shard begins again. The stream's
   * credit bounds how far it runs ahead of its reader.
   */
  async *windows(fromCursor: number): AsyncGenerator<Uint8Array> {
    for (let cursor = fromCursor; ; cursor += this.#windowsPerBatch) {
      yield encodeWindows(this.#windows, cursor, this.#windowsPerBatch);
    }
  }
}

export const dataShard: ActorDefinition<DataShardOptions, DataShard> = defineActor({
  type: 'codistill/data-shard',
  module: import.meta.url,
  methods: { windows: 'stream' },
  async create(_context, options: DataShardOptions) {
    const shard = await openTokenShard(options.path);
    return new DataShard(createWindows(shard, options), options.windowsPerBatch);
  },
});
