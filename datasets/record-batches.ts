import { crc32 } from 'node:zlib';
import {
  type Data,
  type DataType,
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
} from 'apache-arrow';
import { DamagedDataError } from '../errors.ts';
import {
  type Batch,
  type Batches,
  type ColumnData,
  type ColumnSpec,
  type ColumnSpecs,
  columnLength,
} from './batches.ts';

/** Before the Arrow bytes: magic and their CRC-32 (u32 each, little-endian). Arrow trusts what it reads. */
const MAGIC = 0x42424443;
const ENVELOPE_BYTES = 8;

/**
 * Batches `fromCursor` … `fromCursor + count − 1` as the rows of one Arrow record batch (IPC stream format) with a
 * checksum before it. Columns: `cursor` Float64, and each of the data's own as a FixedSizeList of Int32 or Float32,
 * whose field has the metadata `shape`.
 */
export async function encodeBatches(
  batches: Batches,
  fromCursor: number,
  count: number,
): Promise<Uint8Array> {
  const cursors = new Float64Array(count);
  const columns = mapSpecs(batches.columns, (spec) => {
    const length = count * columnLength(spec);
    return spec.dtype === 'int32' ? new Int32Array(length) : new Float32Array(length);
  });
  for (let row = 0; row < count; row++) {
    const batch = await batches.read(fromCursor + row);
    cursors[row] = batch.cursor;
    for (const [name, values] of Object.entries(batch.columns)) {
      columns[name]!.set(values, row * values.length);
    }
  }
  const arrow = tableToIPC(tableOf(cursors, batches.columns, columns), 'stream');
  const bytes = new Uint8Array(ENVELOPE_BYTES + arrow.byteLength);
  const envelope = new DataView(bytes.buffer);
  envelope.setUint32(0, MAGIC, true);
  envelope.setUint32(4, crc32(arrow), true);
  bytes.set(arrow, ENVELOPE_BYTES);
  return bytes;
}

/**
 * The batches in `bytes`; their arrays are views on it when it is aligned to 8 bytes.
 * @throws DamagedDataError when the checksum is wrong, RangeError when the columns are others than `specs` says.
 */
export function decodeBatches(bytes: Uint8Array, specs: ColumnSpecs): readonly Batch[] {
  const table = tableFromIPC(openEnvelope(bytes));
  const cursors = valuesOf(table, 'cursor') as Float64Array;
  const columns = mapSpecs(specs, (spec, name) => columnOf(table, name, spec, cursors.length));
  return Array.from(cursors, (cursor, row) => ({
    cursor,
    columns: mapSpecs(specs, (spec, name) => {
      const length = columnLength(spec);
      return columns[name]!.subarray(row * length, (row + 1) * length);
    }),
  }));
}

/** The Arrow bytes, once they are known to be what was encoded. */
function openEnvelope(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < ENVELOPE_BYTES || view.getUint32(0, true) !== MAGIC) {
    throw new DamagedDataError('not a record batch of training data');
  }
  const arrow = bytes.subarray(ENVELOPE_BYTES);
  if (view.getUint32(4, true) !== crc32(arrow)) {
    throw new DamagedDataError('a record batch of training data has a wrong checksum');
  }
  return arrow;
}

function tableOf(
  cursors: Float64Array,
  specs: ColumnSpecs,
  columns: Readonly<Record<string, ColumnData>>,
): Table {
  const fields: Field[] = [new Field('cursor', new Float64(), false)];
  const children: Data[] = [makeData({ type: new Float64(), data: cursors })];
  for (const [name, spec] of Object.entries(specs)) {
    const item = itemType(spec);
    const list = new FixedSizeList(columnLength(spec), new Field('item', item, false));
    fields.push(new Field(name, list, false, new Map([['shape', `${spec.shape}`]])));
    const child = makeData({ type: item as Int32, data: columns[name] as Int32Array });
    children.push(makeData({ type: list, length: cursors.length, child }));
  }
  const schema = new Schema(fields);
  const data = makeData({ type: new Struct(fields), length: cursors.length, children });
  return new Table(schema, new RecordBatch(schema, data));
}

function itemType({ dtype }: ColumnSpec): DataType {
  return dtype === 'int32' ? new Int32() : new Float32();
}

function columnOf(table: Table, name: string, spec: ColumnSpec, rows: number): ColumnData {
  const values = valuesOf(table, name);
  const shape = table.schema.fields.find((field) => field.name === name)?.metadata.get('shape');
  const dtype = values instanceof Int32Array ? 'int32' : 'float32';
  const right = shape === `${spec.shape}` && dtype === spec.dtype;
  if (right && values.length === rows * columnLength(spec)) return values as ColumnData;
  throw new RangeError(
    `a record batch of ${rows} rows has the column ${name} as ${dtype}[${shape}] with ` +
      `${values.length} values, expected ${spec.dtype}[${spec.shape}] in each row`,
  );
}

/** A column's numbers, for lists those of all rows one after the other. */
function valuesOf(table: Table, name: string): ColumnData | Float64Array {
  const column = table.getChild(name)?.data[0];
  const numbers = column?.children[0] ?? column;
  const values: unknown = numbers?.values;
  const known =
    values instanceof Int32Array ||
    values instanceof Float32Array ||
    values instanceof Float64Array;
  // Arrow pads what it writes, so the array may have one element more than the column.
  if (known) return values.subarray(0, numbers!.length);
  throw new DamagedDataError(`a record batch lacks the column ${name}`);
}

function mapSpecs<T>(
  specs: ColumnSpecs,
  change: (spec: ColumnSpec, name: string) => T,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, change(spec, name)]),
  );
}
