import {
  type Data,
  type DataType,
  Field,
  FixedSizeList,
  Float32,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  Uint8,
} from 'apache-arrow';
import { DamagedDataError } from '../../errors.ts';

/** A column of a prepared data set. */
export interface RecordColumn {
  readonly name: string;
  readonly type: 'float32' | 'int32' | 'uint8';
  /** Of what one row has; `[]` is a single value. */
  readonly shape: readonly number[];
}

export type ColumnValues = Float32Array | Int32Array | Uint8Array;

/** By column, the values of some rows, one row after the other. */
export type RecordValues = Readonly<Record<string, ColumnValues>>;

const arrowTypes = {
  float32: () => new Float32(),
  int32: () => new Int32(),
  uint8: () => new Uint8(),
} as const;

const arrayTypes = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;

/** Values that one row has in this column. */
export function valuesPerRow({ shape }: RecordColumn): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function bytesPerRow(columns: readonly RecordColumn[]): number {
  return columns.reduce(
    (sum, column) => sum + valuesPerRow(column) * arrayTypes[column.type].BYTES_PER_ELEMENT,
    0,
  );
}

/** Room for so many rows, all zero. */
export function emptyValues(columns: readonly RecordColumn[], rows: number): RecordValues {
  return Object.fromEntries(
    columns.map((column) => [
      column.name,
      new arrayTypes[column.type](rows * valuesPerRow(column)),
    ]),
  );
}

/**
 * As an Arrow table of one record batch. A column whose shape is not `[]` is a FixedSizeList, with
 * its shape in the field's metadata (`shape`: `28,28,1`).
 */
export function arrowTable(
  columns: readonly RecordColumn[],
  values: RecordValues,
  rows: number,
): Table {
  const schema = new Schema(
    columns.map(
      (column) =>
        new Field(column.name, arrowType(column), false, new Map([['shape', `${column.shape}`]])),
    ),
  );
  const children = columns.map((column) => {
    const count = rows * valuesPerRow(column);
    const data = makeData({
      type: arrowTypes[column.type]() as Int32,
      length: count,
      data: values[column.name]!.subarray(0, count) as Int32Array,
    });
    if (column.shape.length === 0) return data as Data;
    return makeData({ type: arrowType(column) as FixedSizeList, length: rows, child: data });
  });
  const data = makeData({ type: new Struct(schema.fields), length: rows, children });
  return new Table(schema, new RecordBatch(schema, data));
}

/**
 * The values of a table of one record batch: views on it.
 * @throws DamagedDataError when it has other columns or other types than these.
 */
export function valuesOfTable(table: Table, columns: readonly RecordColumn[]): RecordValues {
  return Object.fromEntries(
    columns.map((column) => {
      const data = table.getChild(column.name)?.data[0];
      const numbers = data?.children[0] ?? data;
      const values: unknown = numbers?.values;
      const count = table.numRows * valuesPerRow(column);
      if (!(values instanceof arrayTypes[column.type]) || values.length < count) {
        throw new DamagedDataError(
          `a record batch has no column ${column.name} of ${column.type} [${column.shape}]`,
        );
      }
      // Arrow pads what it writes, so the array may have more than the column.
      return [column.name, values.subarray(0, count)];
    }),
  );
}

function arrowType(column: RecordColumn): DataType {
  const type = arrowTypes[column.type]();
  if (column.shape.length === 0) return type;
  return new FixedSizeList(valuesPerRow(column), new Field('item', type, false));
}
