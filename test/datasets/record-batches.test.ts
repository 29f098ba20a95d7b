import { tableFromIPC } from 'apache-arrow';
import test from 'ava';
import { decodeWindows, encodeWindows } from '../../datasets/record-batches.ts';
import { createWindows, type WindowShape } from '../../datasets/windows.ts';
import { DamagedDataError } from '../../errors.ts';

const shape = { batch: 3, time: 5 };
const windows = windowsOf(shape);

test('windows come back as they were read', (t) => {
  const decoded = decodeWindows(encodeWindows(windows, 7, 4), shape);
  t.deepEqual(
    decoded,
    [7, 8, 9, 10].map((cursor) => windows.read(cursor)),
  );
});

test('a batch may go over the end of a pass', (t) => {
  const from = windows.count - 1;
  const decoded = decodeWindows(encodeWindows(windows, from, 2), shape);
  t.deepEqual(decoded[1]!.tokens, windows.read(0).tokens);
  t.is(decoded[1]!.cursor, windows.count);
});

test('cursors beyond 32 bits come whole', (t) => {
  const cursor = 2 ** 40 + 3;
  t.is(decodeWindows(encodeWindows(windows, cursor, 1), shape)[0]!.cursor, cursor);
});

test('a batch without windows comes back empty', (t) => {
  t.deepEqual(decodeWindows(encodeWindows(windows, 0, 0), shape), []);
});

test('the same windows give the same bytes', (t) => {
  t.deepEqual(encodeWindows(windows, 3, 2), encodeWindows(windows, 3, 2));
});

test('decoded windows are views on the bytes, wherever those begin at a multiple of eight', (t) => {
  const bytes = encodeWindows(windows, 0, 3);
  const received = new Uint8Array(bytes.length + 24);
  received.set(bytes, 8);
  for (const window of decodeWindows(received.subarray(8, 8 + bytes.length), shape)) {
    t.is(window.tokens.buffer, received.buffer);
    t.is(window.targets.buffer, received.buffer);
  }
});

test('unaligned bytes decode too', (t) => {
  const bytes = encodeWindows(windows, 0, 3);
  const received = new Uint8Array(bytes.length + 3);
  received.set(bytes, 3);
  t.deepEqual(decodeWindows(received.subarray(3), shape), decodeWindows(bytes, shape));
});

test('after its envelope a batch is an Arrow stream that any Arrow reader opens', (t) => {
  const table = tableFromIPC(encodeWindows(windows, 2, 3).subarray(16));
  t.is(table.numRows, 3);
  t.deepEqual(
    table.schema.fields.map((field) => `${field.name}: ${field.type}`),
    ['cursor: Float64', 'tokens: FixedSizeList[15]<Int32>', 'targets: FixedSizeList[15]<Int32>'],
  );
  t.deepEqual([...table.getChild('tokens')!.get(1)].map(Number), [...windows.read(3).tokens]);
});

test('each changed byte is noticed before Arrow sees it', (t) => {
  const bytes = encodeWindows(windows, 0, 2);
  for (let at = 0; at < bytes.length; at++) {
    bytes[at]! ^= 0x40;
    t.throws(() => decodeWindows(bytes, shape), { instanceOf: DamagedDataError }, `byte ${at}`);
    bytes[at]! ^= 0x40;
  }
  t.is(decodeWindows(bytes, shape).length, 2);
});

test('bytes that are cut short are refused at any length', (t) => {
  const bytes = encodeWindows(windows, 0, 1);
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeWindows(bytes.subarray(0, length), shape), {
      instanceOf: DamagedDataError,
    });
  }
});

test('windows of another shape are refused, also one with as many tokens', (t) => {
  const bytes = encodeWindows(windows, 0, 1);
  for (const other of [
    { batch: 5, time: 3 },
    { batch: 3, time: 4 },
  ]) {
    const error = t.throws(() => decodeWindows(bytes, other), { instanceOf: DamagedDataError });
    t.regex(error!.message, /has windows of 3 × 5 tokens, expected/);
  }
});

function windowsOf(shape: WindowShape): ReturnType<typeof createWindows> {
  const tokens = new Uint16Array(1000).map((_, n) => (n * 37) % 997);
  return createWindows({ path: 'a.tokens', tokens, crc32: 0 }, shape);
}
