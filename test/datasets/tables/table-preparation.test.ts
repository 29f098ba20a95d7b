import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  type Dataset,
  openRecords,
  type TableFeatures,
} from '../../../datasets/prepared/dataset.ts';
import type { RecordFileEntry } from '../../../datasets/prepared/record-file.ts';
import { criteoSchema } from '../../../datasets/tables/criteo.ts';
import { describeColumns } from '../../../datasets/tables/schema-inference.ts';
import {
  describeTable,
  prepareTable,
  type TableDescription,
  type TableOptions,
} from '../../../datasets/tables/table-preparation.ts';
import {
  parseTableSchema,
  type TableSchema,
  type TableSchemaDocument,
} from '../../../datasets/tables/table-schema.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const document: TableSchemaDocument = {
  missing: ['', '?'],
  columns: [
    { kind: 'numeric', name: 'size', indicateMissing: true },
    { kind: 'categorical', name: 'colour' },
    { kind: 'label', name: 'kind' },
  ],
};
const schema = parseTableSchema(document);

/** 40 rows that are all good, for a training part and a test part. */
const goodRows = Array.from(
  { length: 40 },
  (_, i) => `${i},${['red', 'red', 'blue'][i % 3]},${i % 2 ? 'b' : 'a'}`,
);

async function prepare(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
  { guesses = false, ...options }: Partial<TableOptions> & { readonly guesses?: boolean } = {},
): Promise<Dataset> {
  const folder = await temporaryFolder(t, files);
  return await prepareTable({
    paths: Object.keys(files)
      .filter((name) => name.startsWith('train'))
      .map((name) => join(folder, name)),
    heldOutPaths: Object.keys(files)
      .filter((name) => name.startsWith('test'))
      .map((name) => join(folder, name)),
    ...(!guesses && { schema }),
    split: { replicas: 1, seed: 1 },
    directory: join(folder, 'prepared'),
    ...options,
  });
}

async function valuesOf(dataset: Dataset, entry: RecordFileEntry) {
  const file = await openRecords(dataset, entry);
  const { numeric, categories, label } = await file.readBlock(0);
  return { numeric: [...numeric!], categories: [...categories!], label: [...label!] };
}

const table = (...rows: readonly string[]) => ['size,colour,kind', ...rows, ''].join('\n');

test('numbers are standardised by the training part alone, values numbered by how often they come', async (t) => {
  const dataset = await prepare(t, {
    'train.csv': table('1,red,a', '3,red,b', '?,blue,a', '5,,b'),
    'test.csv': table('30,green,b', ',blue,a'),
  });
  const features = dataset.features as TableFeatures;
  const deviation = Math.sqrt(8 / 3);
  t.deepEqual(features.numeric, [
    { name: 'size', transform: 'none', mean: 3, deviation, missing: 1 },
    { name: 'size:missing', transform: 'none', mean: 0, deviation: 1, missing: 0 },
  ]);
  t.deepEqual(features.categorical, [
    { name: 'colour', cardinality: 3, values: ['red', 'blue'], missing: 1 },
  ]);
  t.deepEqual(dataset.classes, ['a', 'b']);
  const f = Math.fround;
  t.deepEqual(await valuesOf(dataset, dataset.shards[0]!), {
    numeric: [f(-2 / deviation), 0, 0, 0, 0, 1, f(2 / deviation), 0],
    categories: [1, 1, 2, 0],
    label: [0, 1, 0, 1],
  });
  // Green was not seen in training.
  t.deepEqual(await valuesOf(dataset, dataset.heldOut), {
    numeric: [f(27 / deviation), 0, 0, 1],
    categories: [0, 2],
    label: [1, 0],
  });
});

test('each kind of bad row is named by its number and what is wrong', async (t) => {
  const stops = async (row: string, message: string) => {
    const files = { 'train.csv': table(...goodRows.slice(0, 16), row, ...goodRows) };
    const error = await t.throwsAsync(prepare(t, files), { instanceOf: UserInputError });
    t.true(error!.message.includes(`train.csv, row 17 (line 18): ${message}. Mend it, or`), row);
    t.true(error!.message.includes("onBadRow 'skip'"));
  };
  await stops('1,red', 'it has 2 fields, expected 3');
  await stops('1,red,a,', 'it has 4 fields, expected 3');
  await stops('tall,red,a', "column size: 'tall' is no number");
  await stops('0x10,red,a', "column size: '0x10' is no number");
  await stops('1e999,red,a', "column size: '1e999' is no number");
  await stops('1,red,?', 'column kind: the label is missing');
  await stops('1,"red,a', 'a quote is opened and not closed');
});

test('bad rows are left out and counted on demand, of both parts', async (t) => {
  const dataset = await prepare(
    t,
    {
      'train.csv': table('1,red', ...goodRows, 'tall,red,a'),
      'test.csv': table('1,red,a', '1,red,c'),
    },
    { onBadRow: 'skip' },
  );
  t.is(dataset.shards[0]!.rows, 40);
  t.is(dataset.heldOut.rows, 1);
  t.is(dataset.skipped.rows, 3);
  t.deepEqual(
    dataset.skipped.examples.map((example) => example.replace(/.*(?=(train|test)\.csv)/, '')),
    [
      'train.csv, row 1 (line 2): it has 2 fields, expected 3',
      "train.csv, row 42 (line 43): column size: 'tall' is no number",
      "test.csv, row 2 (line 3): column kind: the label 'c' is none of 'a', 'b'",
    ],
  );
});

test('labels that the schema does not name are unknown', async (t) => {
  const columns = document.columns.map((column) =>
    column.kind === 'label' ? { ...column, classes: ['b', 'a'] } : column,
  );
  const declared = parseTableSchema({ ...document, columns });
  const files = { 'train.csv': table(...goodRows) };
  t.deepEqual((await prepare(t, files, { schema: declared })).classes, ['b', 'a']);
  await t.throwsAsync(
    prepare(t, { 'train.csv': table(...goodRows, '1,red,c') }, { schema: declared }),
    { message: /row 41 \(line 42\): column kind: the label 'c' is none of 'b', 'a'/ },
  );
});

/** Rows of two classes, with one slip beyond those that a guess looks at. */
const longRows = (slip: string) => [
  ...Array.from({ length: 12_000 }, (_, i) => `${i},red,${i % 2 ? 'b' : 'a'}`),
  slip,
];

test('without a schema a label or number that the first rows speak against is a bad row', async (t) => {
  const guessed: string[] = [];
  const guessing = {
    guesses: true,
    onSchemaGuessed: (found: TableSchema) => guessed.push(describeColumns(found)),
  };
  const stops = (slip: string, message: RegExp) =>
    t.throwsAsync(prepare(t, { 'train.csv': table(...longRows(slip)) }, guessing), {
      instanceOf: UserInputError,
      message,
    });
  await stops('1,red,maybe', /row 12001 \(line 12002\): column kind: the label 'maybe' is none of/);
  await stops('abc,red,a', /row 12001 .*: column size: 'abc' is no number\. .*, or give a schema/);
  t.is(guessed[0], 'size numeric, colour categorical, kind label (a, b)');

  const files = { 'train.csv': table(...longRows('1,red,maybe')) };
  const dataset = await prepare(t, files, { ...guessing, onBadRow: 'skip' });
  t.deepEqual(dataset.classes, ['a', 'b']);
  t.is(dataset.skipped.rows, 1);
});

test('a table is described as it is prepared, and not read where its schema says all', async (t) => {
  const folder = await temporaryFolder(t, { 'train.csv': table(...goodRows) });
  const options = {
    paths: [join(folder, 'train.csv')],
    schema,
    split: { replicas: 1, seed: 1, heldOutFraction: 0.4 },
  };
  const { columns, classes, features } = await prepareTable({
    ...options,
    directory: join(folder, 'prepared'),
  });
  t.deepEqual(await describeTable(options), { columns, classes, features } as TableDescription);
  const full = criteoSchema({ buckets: 7 });
  const described = await describeTable({ ...options, paths: [], schema: full });
  t.is(described.features.categorical[3]?.cardinality, 7);
  t.deepEqual(described.columns[0], { name: 'numeric', type: 'float32', shape: [13] });
});

test('a header may have another order, but must have the columns of the schema', async (t) => {
  const swapped = ['colour,kind,size', ...Array(20).fill('red,a,1'), ...Array(20).fill('red,b,2')];
  const { features } = await prepare(t, { 'train.csv': swapped.join('\n') });
  t.is((features as TableFeatures).numeric[0]!.name, 'size');
  await t.throwsAsync(prepare(t, { 'train.csv': 'size,shape,kind\n1,red,a\n' }), {
    message: /lacks the columns 'colour' of the schema and has the columns 'shape', which the/,
  });
  await t.throwsAsync(prepare(t, { 'train.csv': 'size,size,kind\n1,red,a\n' }), {
    message: /has two columns 'size'/,
  });
});

test('tables that give nothing to learn are refused', async (t) => {
  const refuses = (files: Readonly<Record<string, string>>, message: RegExp) =>
    t.throwsAsync(prepare(t, files), { instanceOf: UserInputError, message });
  await refuses({ 'train.csv': 'size,colour,kind\n' }, /has no rows that can be used/);
  await refuses({ 'train.csv': table(...Array(30).fill('1,red,a')) }, /all rows have the label a/);
  await t.throwsAsync(prepare(t, {}), { message: /no path was given/ });
  await t.throwsAsync(prepare(t, {}, { paths: ['/none/here.csv'] }), {
    message: /can't read \/none\/here.csv: there is no such file/,
  });
});

test('the same files and options give the same bytes, hashes another by another seed', async (t) => {
  const columns = document.columns.map((column) =>
    column.kind === 'categorical' ? { ...column, buckets: 50 } : column,
  );
  const hashed = parseTableSchema({ ...document, columns });
  const files = { 'train.csv': table(...goodRows) };
  const digestOf = async (options: Partial<TableOptions>) =>
    (await prepare(t, files, { schema: hashed, ...options })).shards[0]!.sha256;
  t.is(await digestOf({}), await digestOf({}));
  t.not(await digestOf({}), await digestOf({ hashSeed: 1 }));
  t.not(await digestOf({}), await digestOf({ split: { replicas: 1, seed: 2 } }));
});

test('work that is stopped leaves no data set, and says why it stopped', async (t) => {
  const directory = await temporaryFolder(t);
  const controller = new AbortController();
  const reason = new Error('enough');
  const running = prepare(
    t,
    { 'train.csv': table(...goodRows) },
    {
      directory,
      signal: controller.signal,
      onProgress: ({ phase }) => {
        if (phase === 'statistics') controller.abort(reason);
      },
    },
  );
  t.is(await t.throwsAsync(running), reason);
  t.deepEqual(await readdir(directory), []);
});

test('a large file is read a small piece at a time', async (t) => {
  const folder = await temporaryFolder(t, {
    // 24 MB, of which 400 bytes a row are ignored.
    'train.csv': `size,colour,kind,note\n${`1,red,a,${'n'.repeat(400)}\n2,blue,b,${'n'.repeat(400)}\n`.repeat(30_000)}`,
  });
  const wide = parseTableSchema({
    ...document,
    columns: [...document.columns, { kind: 'ignore', name: 'note' }],
  });
  const chunks: number[] = [];
  const dataset = await prepareTable({
    paths: [join(folder, 'train.csv')],
    schema: wide,
    split: { replicas: 2 },
    directory: join(folder, 'prepared'),
    onProgress: ({ done }) => chunks.push(done),
  });
  // Whatever the size of the file, 256 KiB of it at a time.
  const steps = chunks.slice(1).map((done, index) => done - chunks[index]!);
  t.true(Math.max(...steps) <= 1 << 18);
  t.is(dataset.shards[0]!.rows + dataset.shards[1]!.rows + dataset.heldOut.rows, 60_000);
  const manifest = JSON.parse(await readFile(join(folder, 'prepared', 'dataset.json'), 'utf8'));
  t.is(manifest.split.replicas, 2);
});
