import { crc32 } from 'node:zlib';
import {
  type Data,
  Field,
  FixedSizeList,
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
import type { TrainingWindow, WindowShape, Windows } from './windows.ts';

/**
 * Before the Arrow bytes: magic, their CRC-32, batch and time (u32 each, little-endian). Arrow
 * trusts what it reads.
 */
const MAGIC = 0x42574443;
const ENVELOPE_BYTES = 16;

/**
 * Windows `fromCursor` … `fromCursor + count − 1` as one Arrow record batch (IPC stream format)
 * with a checksum before it. Columns: `cursor` Float64, `tokens` and `targets`
 * FixedSizeList<Int32>[batch · time].
 */
export function encodeWindows(windows: Windows, fromCursor: number, count: number): Uint8Array {
  const { batch, time } = windows;
  const length = batch * time;
  const cursors = new Float64Array(count);
  const tokens = new Int32Array(count * length);
  const targets = new Int32Array(count * length);
  for (let row = 0; row < count; row++) {
    const window = windows.read(fromCursor + row);
    cursors[row] = window.cursor;
    tokens.set(window.tokens, row * length);
    targets.set(window.targets, row * length);
  }
  const arrow = tableToIPC(windowTable({ cursors, tokens, targets, length }), 'stream');
  const bytes = new Uint8Array(ENVELOPE_BYTES + arrow.byteLength);
  const envelope = new DataView(bytes.buffer);
  for (const [index, field] of [MAGIC, crc32(arrow), batch, time].entries()) {
    envelope.setUint32(4 * index, field, true);
  }
  bytes.set(arrow, ENVELOPE_BYTES);
  return bytes;
}

/**
 * The windows in `bytes`; their arrays are views on it when it is aligned to 8 bytes.
 * @throws DamagedDataError when the checksum is wrong or the windows have another shape.
 */
export function decodeWindows(bytes: Uint8Array, shape: WindowShape): readonly TrainingWindow[] {
  const table = tableFromIPC(openEnvelope(bytes, shape));
  const length = shape.batch * shape.time;
  const cursors = valuesOf(table, 'cursor') as Float64Array;
  const tokens = valuesOf(table, 'tokens') as Int32Array;
  const targets = valuesOf(table, 'targets') as Int32Array;
  if (tokens.length !== cursors.length * length || targets.length !== tokens.length) {
    throw new DamagedDataError(
      `a record batch of ${cursors.length} windows has ${tokens.length} tokens and ` +
        `${targets.length} targets, expected ${cursors.length * length} of each`,
    );
  }
  return Array.from(cursors, (cursor, row) => ({
    cursor,
    tokens: tokens.subarray(row * length, (row + 1) * length),
    targets: targets.subarray(row * length, (row + 1) * length),
  }));
}

/** The Arrow bytes, once they are known to be what was encoded. */
function openEnvelope(bytes: Uint8Array, { batch, time }: WindowShape): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < ENVELOPE_BYTES || view.getUint32(0, true) !== MAGIC) {
    throw new DamagedDataError('not a record batch of training windows');
  }
  const arrow = bytes.subarray(ENVELOPE_BYTES);
  if (view.getUint32(4, true) !== crc32(arrow)) {
    throw new DamagedDataError('a record batch of training windows has a wrong checksum');
  }
  const [theirBatch, theirTime] = [view.getUint32(8, true), view.getUint32(12, true)];
  if (theirBatch === batch && theirTime === time) return arrow;
  throw new DamagedDataError(
    `a record batch has windows of ${theirBatch} × ${theirTime} tokens, ` +
      `expected ${batch} × ${time}`,
  );
}

function windowTable(columns: {
  readonly cursors: Float64Array;
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
  readonly length: number;
}): Table {
  const { cursors, length } = columns;
  const list = new FixedSizeList(length, new Field('item', new Int32(), false));
  const lists = (values: Int32Array): Data<FixedSizeList<Int32>> =>
    makeData({
      type: list,
      length: cursors.length,
      child: makeData({ type: new Int32(), data: values }),
    });
  const schema = new Schema([
    new Field('cursor', new Float64(), false),
    new Field('tokens', list, false),
    new Field('targets', list, false),
  ]);
  const data = makeData({
    type: new Struct(schema.fields),
    length: cursors.length,
    children: [
      makeData({ type: new Float64(), data: cursors }),
      lists(columns.tokens),
      lists(columns.targets),
    ],
  });
  return new Table(schema, new RecordBatch(schema, data));
}

/** A column's numbers, for lists those of all rows one after the other. */
function valuesOf(table: Table, name: string): Int32Array | Float64Array {
  const column = table.getChild(name)?.data[0];
  const numbers = column?.children[0] ?? column;
  const values: unknown = numbers?.values;
  if (values instanceof Int32Array || values instanceof Float64Array) {
    // Arrow pads what it writes, so the array may have one element more than the column.
    return values.subarray(0, numbers!.length);
  }
  throw new DamagedDataError(`a record batch lacks the column ${name}`);
}
