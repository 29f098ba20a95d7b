import { UserInputError } from '../errors.ts';
import type { TokenShard } from './token-shard.ts';

/** What one training step reads. */
export interface TrainingWindow {
  /** Number of the window since training began. */
  readonly cursor: number;
  /** Word pieces, [batch · time], lane after lane. */
  readonly tokens: Int32Array;
  /** The piece that follows each of them, same shape. */
  readonly targets: Int32Array;
}

export interface WindowShape {
  /** Lanes side by side. */
  readonly batch: number;
  /** Pieces of one lane in one window. */
  readonly time: number;
}

/**
 * A shard cut for truncated back-propagation: `batch` lanes, each a contiguous part of the shard,
 * of which window after window of `time` pieces is read, so that a recurrent state carried from one
 * window fits the next.
 */
export interface Windows extends WindowShape {
  /** Windows in one pass over the shard. */
  readonly count: number;
  /**
   * The window at any cursor from 0 on; after `count` windows the shard begins again.
   * @throws RangeError for a cursor that is no whole number from 0 on.
   */
  read(cursor: number): TrainingWindow;
}

/** @throws UserInputError when the shard is too small for a single window. */
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
  return {
    batch,
    time,
    count,
    read(cursor) {
      if (!Number.isSafeInteger(cursor) || cursor < 0) {
        throw new RangeError(`cursor is ${cursor}: it takes a whole number from 0 on`);
      }
      const window = {
        cursor,
        tokens: new Int32Array(batch * time),
        targets: new Int32Array(batch * time),
      };
      for (let lane = 0; lane < batch; lane++) {
        const start = lane * laneLength + (cursor % count) * time;
        window.tokens.set(tokens.subarray(start, start + time), lane * time);
        window.targets.set(tokens.subarray(start + 1, start + time + 1), lane * time);
      }
      return window;
    },
  };
}
