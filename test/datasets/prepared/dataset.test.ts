import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openDataset, openRecords } from '../../../datasets/prepared/dataset.ts';
import { DatasetWriter } from '../../../datasets/prepared/dataset-writer.ts';
import type { RecordColumn } from '../../../datasets/prepared/record-columns.ts';
import { createSplit, type SplitOptions } from '../../../datasets/prepared/split.ts';
import { DamagedDataError, UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const columns: readonly RecordColumn[] = [
  { name: 'numeric', type: 'float32', shape: [1] },
  { name: 'label', type: 'int32', shape: [] },
];
const description = {
  classes: ['no', 'yes'],
  features: {
    kind: 'table',
    numeric: [{ name: 'a', transform: 'none', mean: 0, deviation: 1, missing: 0 }],
    categorical: [],
    hashSeed: 0,
  },
  skipped: { rows: 0, examples: [] },
} as const;

async function write(directory: string, rows: number, options: SplitOptions) {
  const split = createSplit(options, { heldOut: true });
  await using writer = await DatasetWriter.create(directory, columns, options);
  for (let row = 0; row < rows; row++) await writer.append(split(), { numeric: [row], label: [1] });
  return await writer.finish(structuredClone(description) as never);
}

async function numbersOf(directory: string) {
  const dataset = await openDataset(directory);
  return await Promise.all(
    [...dataset.shards, dataset.heldOut].map(async (entry) => {
      const file = await openRecords(dataset, entry);
      return [...(await file.readBlock(0)).numeric!];
    }),
  );
}

test('every row is in one part, and the same again for the same seed', async (t) => {
  const directory = await temporaryFolder(t);
  await write(directory, 100, { replicas: 2, seed: 3 });
  const parts = await numbersOf(directory);
  t.deepEqual(
    parts.flat().sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, row) => row),
  );
  const again = await temporaryFolder(t);
  await write(again, 100, { replicas: 2, seed: 3 });
  for (const name of await readdir(directory)) {
    t.deepEqual(await readFile(join(directory, name)), await readFile(join(again, name)), name);
  }
});

test('replicas that share rows have them all, those that share everything one file', async (t) => {
  const directory = await temporaryFolder(t);
  await write(directory, 200, { replicas: 2, sharedFraction: 0.5 });
  const [first, second] = (await numbersOf(directory)).map((numbers) => new Set(numbers));
  const shared = [...first!].filter((row) => second!.has(row)).length;
  t.true(shared > 50 && shared < first!.size);
  const same = await temporaryFolder(t);
  const dataset = await write(same, 200, { replicas: 3, sharedFraction: 1 });
  t.deepEqual(
    dataset.shards.map(({ file }) => file),
    ['shared.arrow', 'shared.arrow', 'shared.arrow'],
  );
});

test('a data set takes the place of an earlier one with more shards', async (t) => {
  const directory = await temporaryFolder(t, { 'notes.txt': 'kept' });
  await write(directory, 100, { replicas: 3 });
  await write(directory, 100, { replicas: 1 });
  t.deepEqual((await readdir(directory)).sort(), [
    'dataset.json',
    'held-out.arrow',
    'notes.txt',
    'shard-1.arrow',
  ]);
  t.is((await openDataset(directory)).shards.length, 1);
});

test('a part without rows is refused, and nothing is left', async (t) => {
  const directory = await temporaryFolder(t);
  await t.throwsAsync(write(directory, 2, { replicas: 4 }), {
    instanceOf: UserInputError,
    message: /too few rows: the shards of 4 replicas have .* Give more rows/,
  });
  t.deepEqual(await readdir(directory), []);
});

test('a folder without a data set and a damaged one are told apart', async (t) => {
  const directory = await temporaryFolder(t);
  await t.throwsAsync(openDataset(directory), {
    instanceOf: UserInputError,
    message: /has no prepared data set/,
  });
  await write(directory, 100, { replicas: 2 });
  const path = join(directory, 'dataset.json');
  const manifest = JSON.parse(await readFile(path, 'utf8'));
  const refused = async (text: string, message: RegExp) => {
    await writeFile(path, text);
    await t.throwsAsync(openDataset(directory), { instanceOf: DamagedDataError, message });
  };
  await refused('{', /it is not JSON/);
  await refused(JSON.stringify({ ...manifest, version: 2 }), /version/);
  manifest.heldOut.file = '../elsewhere';
  await refused(JSON.stringify(manifest), /file/);
  manifest.heldOut.file = 'none.arrow';
  await refused(JSON.stringify(manifest), /none\.arrow can't be used/);
});
