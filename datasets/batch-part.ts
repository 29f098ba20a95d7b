import { type Batches, type ColumnSpec, columnLength } from './batches.ts';

/** One of `of` equal parts of each batch, from part 0 on. */
export interface BatchPart {
  readonly index: number;
  readonly of: number;
}

/**
 * The batches with only the rows of one part, so that several workers share what one would read.
 * @throws RangeError when the rows don't divide into such parts, or there is no such part.
 */
export function partOfBatches(batches: Batches, { index, of }: BatchPart): Batches {
  if (!Number.isInteger(of) || !Number.isInteger(index) || index < 0 || index >= of) {
    throw new RangeError(`there is no part ${index} of ${of}: parts count from 0`);
  }
  const columns = Object.fromEntries(
    Object.entries(batches.columns).map(([name, spec]) => [name, partOfColumn(name, spec, of)]),
  );
  return {
    columns,
    count: batches.count,
    async read(cursor) {
      const batch = await batches.read(cursor);
      const parts = Object.entries(batch.columns).map(([name, values]) => {
        const length = columnLength(columns[name]!);
        return [name, values.subarray(index * length, (index + 1) * length)] as const;
      });
      return { cursor: batch.cursor, columns: Object.fromEntries(parts) };
    },
  };
}

function partOfColumn(name: string, { shape, dtype }: ColumnSpec, of: number): ColumnSpec {
  const [rows = 0, ...rest] = shape;
  if (rows % of === 0 && rows > 0) return { shape: [rows / of, ...rest], dtype };
  throw new RangeError(`${name} has ${rows} rows in a batch, which don't divide into ${of} parts`);
}
