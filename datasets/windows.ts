import { UserInputError } from '../errors.ts';
import { type Batch, type Batches, checkCursor } from './batches.ts';
import type { TokenShard } from './token-shard.ts';

export interface WindowShape {
  /** Lanes side by side. */
  readonly batch: number;
  /** Pieces of one lane in one window. */
  readonly time: number;
}

/** Batches of a token shard, which is in memory. */
export interface Windows extends Batches {
  read(cursor: number): Batch;
}

/**
 * A shard cut for truncated back-propagation: `batch` lanes, each a contiguous part of the shard,
 * of which window after window of `time` pieces is read, so that a recurrent state carried from one
 * window fits the next. Columns: `tokens` and `targets`, the piece that follows each, int32 [batch, time].
 * @throws UserInputError when the shard is too small for a single window.
 */
export function createWindows(shard: TokenShard, { batch, time }: WindowShape): Windows {
  if (!(batch >= 1 && time >= 1 && Number.isInteger(batch) && Number.isInteger(time))) {
    throw new RangeError(`windows are ${batch} × ${time}: both take whole numbers from 1 on`);
  }
  const { tokens } = shard;
  // The last piece of a lane has a target too.
  const laneLength = Math.floor((tokens.length - 1) / batch);
  const count = Math.floor(laneLength / time);
  if (count < 1) {
    throw new UserInputError(
      `${shard.path} has ${tokens.length} tokens, but ${batch} lanes of ${time} need at least ` +
        `${batch * time + 1}: give more text, or a smaller batch or time`,
    );
  }
  const window = { shape: [batch, time], dtype: 'int32' } as const;
  return {
    columns: { tokens: window, targets: window },
    count,
    read(cursor) {
      checkCursor(cursor);
      const columns = {
        tokens: new Int32Array(batch * time),
        targets: new Int32Array(batch * time),
      };
      for (let lane = 0; lane < batch; lane++) {
        const start = lane * laneLength + (cursor % count) * time;
        columns.tokens.set(tokens.subarray(start, start + time), lane * time);
        columns.targets.set(tokens.subarray(start + 1, start + time + 1), lane * time);
      }
      return { cursor, columns };
    },
  };
}
