import { createHash } from 'node:crypto';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import test from 'ava';
import type { RecordColumn } from '../../../datasets/prepared/record-columns.ts';
import {
  RecordFile,
  type RecordFileEntry,
  RecordWriter,
  rowsPerBlock,
} from '../../../datasets/prepared/record-file.ts';
import { DamagedDataError, UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

/** Wide rows, so that a few of them fill a block. */
const columns: readonly RecordColumn[] = [
  { name: 'pixels', type: 'uint8', shape: [512, 512, 3] },
  { name: 'numeric', type: 'float32', shape: [3] },
  { name: 'label', type: 'int32', shape: [] },
];

function rowOf(index: number) {
  return {
    pixels: new Uint8Array(512 * 512 * 3).fill(index),
    numeric: [index, index / 2, -index],
    label: [index * 1000],
  };
}

async function writeRows(directory: string, count: number): Promise<RecordFileEntry> {
  const writer = await RecordWriter.create(directory, 'rows.arrow', columns);
  for (let index = 0; index < count; index++) await writer.append(rowOf(index));
  return await writer.finish();
}

test('rows come back block by block as they were written', async (t) => {
  const directory = await temporaryFolder(t);
  const entry = await writeRows(directory, 12);
  const perBlock = rowsPerBlock(columns);
  t.is(perBlock, 5);
  t.deepEqual(
    entry.blocks.map(({ rows }) => rows),
    [5, 5, 2],
  );
  const file = await RecordFile.open(directory, entry, columns);
  const last = await file.readBlock(2);
  t.deepEqual([...last.label!], [10_000, 11_000]);
  t.deepEqual([...last.numeric!], [10, 5, -10, 11, 5.5, -11]);
  t.is(last.pixels!.length, 2 * 512 * 512 * 3);
  t.is(last.pixels!.at(-1), 11);
  t.deepEqual([...(await file.readBlock(0)).label!], [0, 1000, 2000, 3000, 4000]);
  await t.throwsAsync(file.readBlock(3), {
    instanceOf: RangeError,
    message: /block is 3: .* has 3/,
  });
});

test('the file is an Arrow stream that any reader opens, with the digest that the entry has', async (t) => {
  const directory = await temporaryFolder(t);
  const entry = await writeRows(directory, 7);
  const bytes = await readFile(join(directory, entry.file));
  t.is(bytes.length, entry.bytes);
  t.is(createHash('sha256').update(bytes).digest('hex'), entry.sha256);
  const table = tableFromIPC(bytes);
  t.is(table.numRows, 7);
  t.is(table.schema.fields[0]!.metadata.get('shape'), '512,512,3');
  t.is(table.getChild('label')!.get(6), 6000);
  t.deepEqual([...table.getChild('numeric')!.get(6)], [6, 3, -6]);
});

test('a changed byte, a short file and a missing one are refused', async (t) => {
  const directory = await temporaryFolder(t);
  const entry = await writeRows(directory, 7);
  const path = join(directory, entry.file);
  const bytes = await readFile(path);
  bytes[entry.blocks[1]!.offset + 200]! ^= 1;
  await writeFile(path, bytes);
  {
    const file = await RecordFile.open(directory, entry, columns);
    await t.notThrowsAsync(file.readBlock(0));
    await t.throwsAsync(file.readBlock(1), {
      instanceOf: DamagedDataError,
      message: /block 1 has a wrong checksum\. Prepare the data set again/,
    });
  }
  bytes[20]! ^= 1;
  await writeFile(path, bytes);
  const open = () => RecordFile.open(directory, entry, columns);
  await t.throwsAsync(open, { instanceOf: DamagedDataError, message: /its schema has a wrong/ });
  await truncate(path, entry.bytes - 1);
  await t.throwsAsync(open, { instanceOf: DamagedDataError, message: /bytes, expected/ });
  await t.throwsAsync(RecordFile.open(join(directory, 'none'), entry, columns), {
    instanceOf: DamagedDataError,
    message: /no such file/,
  });
});

test('a writer that is discarded leaves nothing, and one without a folder says so', async (t) => {
  const directory = await temporaryFolder(t);
  const writer = await RecordWriter.create(directory, 'rows.arrow', columns);
  for (let index = 0; index < 6; index++) await writer.append(rowOf(index));
  await writer.discard();
  t.deepEqual(await readdir(directory), []);
  await t.throwsAsync(RecordWriter.create(join(directory, 'none'), 'rows.arrow', columns), {
    instanceOf: UserInputError,
    message: /can't write .*rows\.arrow/,
  });
});

test('a row of another width is refused', async (t) => {
  const writer = await RecordWriter.create(await temporaryFolder(t), 'rows.arrow', columns);
  t.throws(() => writer.append({ ...rowOf(1), numeric: [1, 2] }), {
    instanceOf: RangeError,
    message: 'column numeric takes 3 values, not 2',
  });
  await writer.discard();
});

test('a file without rows opens and has no blocks', async (t) => {
  const directory = await temporaryFolder(t);
  const entry = await writeRows(directory, 0);
  const file = await RecordFile.open(directory, entry, columns);
  t.is(file.rows, 0);
  t.deepEqual(file.blocks, []);
});
