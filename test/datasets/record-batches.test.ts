import { tableFromIPC } from 'apache-arrow';
import test from 'ava';
import { decodeBatches, encodeBatches } from '../../datasets/record-batches.ts';
import { createWindows, type WindowShape, type Windows } from '../../datasets/windows.ts';
import { DamagedDataError } from '../../errors.ts';

const windows = windowsOf({ batch: 3, time: 5 });
const specs = windows.columns;

test('windows come back as they were read', async (t) => {
  const decoded = decodeBatches(await encodeBatches(windows, 7, 4), specs);
  t.deepEqual(
    decoded,
    [7, 8, 9, 10].map((cursor) => windows.read(cursor)),
  );
});

test('a batch may go over the end of a pass', async (t) => {
  const from = windows.count - 1;
  const decoded = decodeBatches(await encodeBatches(windows, from, 2), specs);
  t.deepEqual(decoded[1]!.columns, windows.read(0).columns);
  t.is(decoded[1]!.cursor, windows.count);
});

test('cursors beyond 32 bits come whole', async (t) => {
  const cursor = 2 ** 40 + 3;
  t.is(decodeBatches(await encodeBatches(windows, cursor, 1), specs)[0]!.cursor, cursor);
});

test('a batch without windows comes back empty', async (t) => {
  t.deepEqual(decodeBatches(await encodeBatches(windows, 0, 0), specs), []);
});

test('the same windows give the same bytes', async (t) => {
  t.deepEqual(await encodeBatches(windows, 3, 2), await encodeBatches(windows, 3, 2));
});

test('decoded windows are views on the bytes, wherever those begin at a multiple of eight', async (t) => {
  const bytes = await encodeBatches(windows, 0, 3);
  const received = new Uint8Array(bytes.length + 24);
  received.set(bytes, 8);
  for (const { columns } of decodeBatches(received.subarray(8, 8 + bytes.length), specs)) {
    t.is(columns.tokens!.buffer, received.buffer);
    t.is(columns.targets!.buffer, received.buffer);
  }
});

test('unaligned bytes decode too', async (t) => {
  const bytes = await encodeBatches(windows, 0, 3);
  const received = new Uint8Array(bytes.length + 3);
  received.set(bytes, 3);
  t.deepEqual(decodeBatches(received.subarray(3), specs), decodeBatches(bytes, specs));
});

test('after its envelope a batch is an Arrow stream that any Arrow reader opens', async (t) => {
  const table = tableFromIPC((await encodeBatches(windows, 2, 3)).subarray(8));
  t.is(table.numRows, 3);
  t.deepEqual(
    table.schema.fields.map((field) => `${field.name}: ${field.type}`),
    ['cursor: Float64', 'tokens: FixedSizeList[15]<Int32>', 'targets: FixedSizeList[15]<Int32>'],
  );
  t.deepEqual([...table.getChild('tokens')!.get(1)].map(Number), [
    ...windows.read(3).columns.tokens!,
  ]);
});

test('each changed byte is noticed before Arrow sees it', async (t) => {
  const bytes = await encodeBatches(windows, 0, 2);
  for (let at = 0; at < bytes.length; at++) {
    bytes[at]! ^= 0x40;
    t.throws(() => decodeBatches(bytes, specs), { instanceOf: DamagedDataError }, `byte ${at}`);
    bytes[at]! ^= 0x40;
  }
  t.is(decodeBatches(bytes, specs).length, 2);
});

test('bytes that are cut short are refused at any length', async (t) => {
  const bytes = await encodeBatches(windows, 0, 1);
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeBatches(bytes.subarray(0, length), specs), {
      instanceOf: DamagedDataError,
    });
  }
});

test('windows of another shape are refused, also one with as many tokens', async (t) => {
  const bytes = await encodeBatches(windows, 0, 1);
  for (const shape of [
    [5, 3],
    [3, 4],
  ]) {
    const tokens = { shape, dtype: 'int32' } as const;
    const error = t.throws(() => decodeBatches(bytes, { tokens }), { instanceOf: RangeError });
    t.regex(error!.message, /column tokens as int32\[3,5\] with 15 values, expected int32\[/);
  }
  const tokens = { shape: [3, 5], dtype: 'float32' } as const;
  t.throws(() => decodeBatches(bytes, { tokens }), { message: /expected float32\[3,5\]/ });
});

function windowsOf(shape: WindowShape): Windows {
  const tokens = new Uint16Array(1000).map((_, n) => (n * 37) % 997);
  return createWindows({ path: 'a.tokens', tokens, crc32: 0 }, shape);
}
