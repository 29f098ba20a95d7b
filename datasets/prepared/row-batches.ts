import { UserInputError } from '../../errors.ts';
import { createRandomGenerator } from '../../random.ts';
import { checkCursor } from '../batches.ts';
import {
  bytesPerRow,
  type ColumnValues,
  emptyValues,
  type RecordValues,
  valuesPerRow,
} from './record-columns.ts';
import type { RecordFile } from './record-file.ts';

export interface RowBatchOptions {
  /** Rows of one batch. */
  readonly batch: number;
  /** Each pass over the file has an order of its own by this seed; absent: the file's own order. */
  readonly seed?: number;
  /** Rows are shuffled within so much of the file at a time, which is held in memory. */
  readonly poolBytesMax?: number;
}

/** The rows of a file as what one training step after the other reads. */
export interface RowBatches {
  readonly batch: number;
  /** Batches in one pass over the file; rows that don't fill a batch are left out of the pass. */
  readonly count: number;
  /**
   * The batch at any cursor from 0 on, by column [batch, …]; after `count` batches the next pass
   * begins. What a cursor gives depends on nothing but file, batch, seed and pool.
   * @throws RangeError for a cursor that is no whole number from 0 on; DamagedDataError for a
   *   damaged file.
   */
  read(cursor: number): Promise<RecordValues>;
}

const POOL_BYTES_MAX = 64 << 20;

/** Some blocks of the file with an order for their rows. */
interface Pool {
  readonly pass: number;
  readonly index: number;
  readonly values: RecordValues;
  /** Place in the order → row of `values`; absent for the file's own order. */
  readonly order?: Uint32Array;
}

/**
 * In each pass blocks are shuffled, some of them at a time make a pool, and the rows of a pool are
 * shuffled: a file of one pool is shuffled wholly, and memory doesn't grow with the file.
 * @throws UserInputError when the file has fewer rows than one batch.
 */
export function createRowBatches(file: RecordFile, options: RowBatchOptions): RowBatches {
  const { batch, seed, poolBytesMax = POOL_BYTES_MAX } = options;
  if (!Number.isInteger(batch) || batch < 1) {
    throw new RangeError(`batch is ${batch}: it takes a whole number from 1 on`);
  }
  const count = Math.floor(file.rows / batch);
  if (count < 1) {
    throw new UserInputError(
      `the part has ${file.rows} rows, fewer than a batch of ${batch}: give more rows, ` +
        'fewer replicas or a smaller batch',
    );
  }
  const pools = new PoolReader(file, seed, poolBytesMax);
  return {
    batch,
    count,
    async read(cursor) {
      checkCursor(cursor);
      const pass = Math.floor(cursor / count);
      return await pools.readRows(pass, (cursor % count) * batch, batch);
    },
  };
}

class PoolReader {
  readonly #file: RecordFile;
  readonly #seed: number | undefined;
  readonly #blocksPerPool: number;
  /** Of the last pass that was asked for. */
  #blockOrder: { readonly pass: number; readonly blocks: Uint32Array } | undefined;
  #pool: Pool | undefined;

  constructor(file: RecordFile, seed: number | undefined, poolBytesMax: number) {
    this.#file = file;
    this.#seed = seed;
    const blockBytes = (file.blocks[0]?.rows ?? 1) * bytesPerRow(file.columns);
    this.#blocksPerPool = Math.max(1, Math.floor(poolBytesMax / blockBytes));
  }

  /** Rows `from` … `from + count − 1` of the pass's order, which has as many. */
  async readRows(pass: number, from: number, count: number): Promise<RecordValues> {
    const { columns } = this.#file;
    const result = emptyValues(columns, count);
    let done = 0;
    for (const { index, start, rows } of this.#poolsOf(pass)) {
      if (start + rows <= from) continue;
      if (done === count) break;
      const { values, order } = await this.#open(pass, index);
      for (let place = from + done - start; place < rows && done < count; place++, done++) {
        const row = order?.[place] ?? place;
        for (const column of columns) {
          const width = valuesPerRow(column);
          copyRow(values[column.name]!, row * width, result[column.name]!, done * width, width);
        }
      }
    }
    return result;
  }

  /** Where the pools of a pass begin in its order, and how many rows each has. */
  *#poolsOf(pass: number): Generator<{ index: number; start: number; rows: number }> {
    const blocks = this.#blocksOf(pass);
    let start = 0;
    for (let index = 0; index * this.#blocksPerPool < blocks.length; index++) {
      const rows = this.#blocksIn(pass, index).reduce(
        (sum, block) => sum + this.#file.blocks[block]!.rows,
        0,
      );
      yield { index, start, rows };
      start += rows;
    }
  }

  async #open(pass: number, index: number): Promise<Pool> {
    const known = this.#pool;
    if (known?.pass === pass && known.index === index) return known;
    const blocks = this.#blocksIn(pass, index);
    const rows = blocks.reduce((sum, block) => sum + this.#file.blocks[block]!.rows, 0);
    const isWholeFile = blocks.length === this.#file.blocks.length;
    // Else let go of the old pool first, so that there are never two in memory.
    if (!isWholeFile) this.#pool = undefined;
    const values = (isWholeFile && known?.values) || (await this.#readBlocks(blocks, rows));
    const order =
      this.#seed === undefined
        ? undefined
        : permutation(rows, this.#seed, `rows of pass ${pass}, pool ${index}`);
    const pool: Pool = { pass, index, values, ...(order !== undefined && { order }) };
    this.#pool = pool;
    return pool;
  }

  async #readBlocks(blocks: readonly number[], rows: number): Promise<RecordValues> {
    const values = emptyValues(this.#file.columns, rows);
    let row = 0;
    for (const block of blocks) {
      const read = await this.#file.readBlock(block);
      for (const column of this.#file.columns) {
        values[column.name]!.set(read[column.name]!, row * valuesPerRow(column));
      }
      row += this.#file.blocks[block]!.rows;
    }
    return values;
  }

  #blocksIn(pass: number, index: number): readonly number[] {
    const first = index * this.#blocksPerPool;
    return [...this.#blocksOf(pass).subarray(first, first + this.#blocksPerPool)];
  }

  #blocksOf(pass: number): Uint32Array {
    if (this.#blockOrder?.pass === pass) return this.#blockOrder.blocks;
    const { length } = this.#file.blocks;
    // A file of one pool stays in memory as it is: its rows are shuffled anyway.
    const blocks =
      this.#seed === undefined || length <= this.#blocksPerPool
        ? Uint32Array.from({ length }, (_, index) => index)
        : permutation(length, this.#seed, `blocks of pass ${pass}`);
    this.#blockOrder = { pass, blocks };
    return blocks;
  }
}

/** A view for each row would cost more than a few values do. */
function copyRow(
  source: ColumnValues,
  from: number,
  target: ColumnValues,
  to: number,
  width: number,
): void {
  if (width > 64) target.set(source.subarray(from, from + width), to);
  else for (let index = 0; index < width; index++) target[to + index] = source[from + index]!;
}

/** 0 … length − 1 in an order that seed and stream decide (Fisher and Yates). */
function permutation(length: number, seed: number, stream: string): Uint32Array {
  const random = createRandomGenerator(seed, stream);
  const order = Uint32Array.from({ length }, (_, index) => index);
  for (let left = length; left > 1; left--) {
    const chosen = Math.floor(random.nextUniform(0, left));
    const last = order[left - 1]!;
    order[left - 1] = order[chosen]!;
    order[chosen] = last;
  }
  return order;
}
