/** What a batch has under one name. */
export interface ColumnSpec {
  /** The first size is that of the batch. */
  readonly shape: readonly number[];
  readonly dtype: 'int32' | 'float32';
}

export type ColumnSpecs = Readonly<Record<string, ColumnSpec>>;

export type ColumnData = Int32Array | Float32Array;

/** What one training step reads. */
export interface Batch {
  /** Number of the batch since training began. */
  readonly cursor: number;
  /** By name, row-major. */
  readonly columns: Readonly<Record<string, ColumnData>>;
}

/** Data cut into batches, each found again by its cursor: a restart repeats none and skips none. */
export interface Batches {
  readonly columns: ColumnSpecs;
  /** Batches in one pass over the data. */
  readonly count: number;
  /**
   * The batch at any cursor from 0 on; after `count` batches the data begins again.
   * @throws RangeError for a cursor that is no whole number from 0 on.
   */
  read(cursor: number): Batch | Promise<Batch>;
}

/** Elements of one batch. */
export function columnLength({ shape }: ColumnSpec): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** @throws RangeError */
export function checkCursor(cursor: number): void {
  if (Number.isSafeInteger(cursor) && cursor >= 0) return;
  throw new RangeError(`cursor is ${cursor}: it takes a whole number from 0 on`);
}
