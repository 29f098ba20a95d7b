import test, { type ExecutionContext } from 'ava';
import type { RecordColumn } from '../../../datasets/prepared/record-columns.ts';
import { RecordFile, RecordWriter, rowsPerBlock } from '../../../datasets/prepared/record-file.ts';
import { createRowBatches, type RowBatchOptions } from '../../../datasets/prepared/row-batches.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const width = 419_414;
/** Ten rows to a block. */
const columns: readonly RecordColumn[] = [
  { name: 'pixels', type: 'uint8', shape: [width] },
  { name: 'label', type: 'int32', shape: [] },
];

async function openRows(t: ExecutionContext, rows: number): Promise<RecordFile> {
  t.is(rowsPerBlock(columns), 10);
  const directory = await temporaryFolder(t);
  const writer = await RecordWriter.create(directory, 'rows.arrow', columns);
  const pixels = new Uint8Array(width);
  for (let row = 0; row < rows; row++) {
    pixels[0] = row;
    await writer.append({ pixels, label: [row] });
  }
  return await RecordFile.open(directory, await writer.finish(), columns);
}

async function labelsOf(file: RecordFile, options: RowBatchOptions, cursors: readonly number[]) {
  const batches = createRowBatches(file, options);
  const labels: number[][] = [];
  for (const cursor of cursors) labels.push([...(await batches.read(cursor)).label!]);
  return labels;
}

const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);

test('without a seed rows come in their order, pass after pass', async (t) => {
  const file = await openRows(t, 23);
  const batches = createRowBatches(file, { batch: 6 });
  t.is(batches.count, 3);
  t.deepEqual(await labelsOf(file, { batch: 6 }, [0, 1, 2, 3]), [
    [0, 1, 2, 3, 4, 5],
    [6, 7, 8, 9, 10, 11],
    [12, 13, 14, 15, 16, 17],
    [0, 1, 2, 3, 4, 5],
  ]);
  const { pixels } = await batches.read(2);
  t.is(pixels![3 * width], 15);
});

test('each pass has every row once, in an order of its own', async (t) => {
  const file = await openRows(t, 40);
  for (const poolBytesMax of [1, 8 << 20, 64 << 20]) {
    const options = { batch: 8, seed: 5, poolBytesMax };
    const labels = await labelsOf(file, options, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const passes = [labels.slice(0, 5).flat(), labels.slice(5).flat()] as const;
    for (const pass of passes) {
      t.notDeepEqual(pass, sorted(pass));
      t.deepEqual(
        sorted(pass),
        Array.from({ length: 40 }, (_, row) => row),
      );
    }
    t.notDeepEqual(passes[0], passes[1]);
  }
});

test('a batch depends on its cursor alone, whatever was read before', async (t) => {
  const file = await openRows(t, 40);
  const options = { batch: 7, seed: 1, poolBytesMax: 8 << 20 };
  const inOrder = await labelsOf(file, options, [0, 1, 2, 3, 4, 5, 6, 7]);
  const backwards = await labelsOf(file, options, [7, 6, 5, 4, 3, 2, 1, 0]);
  t.deepEqual(backwards.reverse(), inOrder);
  t.notDeepEqual(await labelsOf(file, { ...options, seed: 2 }, [0]), [inOrder[0]]);
});

test('a part that is smaller than a batch and wrong numbers are refused', async (t) => {
  const file = await openRows(t, 5);
  t.throws(() => createRowBatches(file, { batch: 6 }), {
    instanceOf: UserInputError,
    message: /the part has 5 rows, fewer than a batch of 6/,
  });
  t.throws(() => createRowBatches(file, { batch: 0 }), { instanceOf: RangeError });
  const batches = createRowBatches(file, { batch: 2 });
  await t.throwsAsync(batches.read(-1), { instanceOf: RangeError, message: /cursor is -1/ });
});
