import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { TableFeatures } from '../../../datasets/prepared/dataset.ts';
import { inferTableSchema } from '../../../datasets/tables/schema-inference.ts';
import { prepareTable } from '../../../datasets/tables/table-preparation.ts';
import { findTableFile, readTableRows } from '../../../datasets/tables/table-rows.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const format = { delimiter: ',', quotes: true, trim: false };

async function writeTable(
  t: ExecutionContext,
  columnData: Parameters<typeof parquetWriteBuffer>[0]['columnData'],
  rowGroupSize = 1000,
): Promise<string> {
  const bytes = new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize }));
  return join(await temporaryFolder(t, { 'table.parquet': bytes }), 'table.parquet');
}

test('values of every type come as text, null as missing, a row group at a time', async (t) => {
  const path = await writeTable(
    t,
    [
      { name: 'real', data: [1.5, -2, 3] },
      { name: 'whole', data: [1, null, 3], type: 'INT32' },
      { name: 'large', data: [1n << 60n, 2n, 3n], type: 'INT64' },
      { name: 'flag', data: [true, false, true] },
      { name: 'text', data: ['a', 'ü', null] },
    ],
    2,
  );
  const rows = [];
  const groups = [];
  for await (const some of readTableRows(await findTableFile(path), format)) {
    rows.push(...some.rows);
    groups.push(some.rows.length);
  }
  t.deepEqual(groups, [1, 2, 1]);
  t.deepEqual(rows, [
    { row: 0, fields: ['real', 'whole', 'large', 'flag', 'text'] },
    { row: 1, fields: ['1.5', '1', `${1n << 60n}`, 'true', 'a'] },
    { row: 2, fields: ['-2', undefined, '2', 'false', 'ü'] },
    { row: 3, fields: ['3', '3', '3', 'true', undefined] },
  ]);
});

test('a parquet file is guessed at and prepared as a text is', async (t) => {
  const count = 60;
  const numbers = Array.from({ length: count }, (_, i) => i);
  const path = await writeTable(t, [
    { name: 'size', data: numbers.map((i) => (i === 7 ? null : i)), type: 'DOUBLE' },
    { name: 'colour', data: numbers.map((i) => ['red', 'blue'][i % 2]!) },
    { name: 'label', data: numbers.map((i) => i % 3), type: 'INT32' },
  ]);
  const schema = await inferTableSchema(path);
  t.deepEqual(
    schema.columns.map(({ kind }) => kind),
    ['numeric', 'categorical', 'label'],
  );
  const directory = await temporaryFolder(t);
  const dataset = await prepareTable({ paths: [path], split: { replicas: 1 }, directory });
  t.deepEqual(dataset.classes, ['0', '1', '2']);
  t.is(dataset.shards[0]!.rows + dataset.heldOut.rows, count);
  t.is((dataset.features as TableFeatures).categorical[0]!.cardinality, 3);
});

test('a bad row of a parquet file is named by its number', async (t) => {
  const path = await writeTable(t, [
    { name: 'size', data: ['1', 'tall', '3'] },
    { name: 'label', data: ['a', 'b', 'a'] },
  ]);
  const schema = await inferTableSchema(path);
  const columns = schema.columns.map((column) =>
    column.name === 'size'
      ? ({ kind: 'numeric', name: 'size', transform: 'none', indicateMissing: false } as const)
      : column,
  );
  const directory = await temporaryFolder(t);
  const options = { paths: [path], split: { replicas: 1 }, directory };
  await t.throwsAsync(prepareTable({ ...options, schema: { ...schema, columns } }), {
    message: /table\.parquet, row 2: column size: 'tall' is no number/,
  });
});

test('what is no parquet file is refused', async (t) => {
  const folder = await temporaryFolder(t, { 'table.parquet': 'a,b\n1,2\n' });
  await t.throwsAsync(inferTableSchema(join(folder, 'table.parquet')), {
    instanceOf: UserInputError,
    message: /can't read .*table\.parquet as parquet/,
  });
});
