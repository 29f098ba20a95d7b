import { join } from 'node:path';
import test from 'ava';
import { parseTableSchema, readTableSchema } from '../../../datasets/tables/table-schema.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const label = { kind: 'label', name: 'y' };
const numeric = { kind: 'numeric', name: 'x' };

test('what a schema leaves out has its default', (t) => {
  t.deepEqual(parseTableSchema({ columns: [numeric, label] }), {
    delimiter: ',',
    header: true,
    quotes: true,
    trim: false,
    missing: [''],
    columns: [
      { kind: 'numeric', name: 'x', transform: 'none', indicateMissing: false },
      { kind: 'label', name: 'y' },
    ],
  } as never);
});

test('each wrong field of a schema is named', (t) => {
  const refuses = (value: unknown, message: RegExp) =>
    t.throws(() => parseTableSchema(value), { instanceOf: UserInputError, message });
  refuses({ columns: [numeric] }, /exactly one is the label/);
  refuses({ columns: [numeric, label, { ...label, name: 'z' }] }, /exactly one is the label/);
  refuses({ columns: [label] }, /at least one is numeric or categorical/);
  refuses({ columns: [numeric, numeric, label] }, /two have the same name/);
  refuses({ columns: [{ ...numeric, kind: 'number' }, label] }, /columns\.0\.kind/);
  refuses({ columns: [{ ...numeric, bucket: 3 }, label] }, /columns\.0\.bucket/);
  refuses(
    { columns: [{ kind: 'categorical', name: 'c', buckets: 1 }, label] },
    /columns\.0\.buckets/,
  );
  refuses({ delimiter: '::', columns: [numeric, label] }, /delimiter/);
  refuses({ separator: ';', columns: [numeric, label] }, /separator/);
});

test('a schema is read from a file', async (t) => {
  const folder = await temporaryFolder(t, {
    'schema.json': JSON.stringify({ columns: [numeric, label] }),
    'broken.json': '{"columns": [',
    'wrong.json': '{"columns": []}',
  });
  const { columns } = await readTableSchema(join(folder, 'schema.json'));
  t.is(columns.length, 2);
  const refuses = (name: string, message: RegExp) =>
    t.throwsAsync(readTableSchema(join(folder, name)), { instanceOf: UserInputError, message });
  await refuses('broken.json', /broken\.json is not JSON/);
  await refuses('wrong.json', /wrong\.json is wrong/);
  await refuses('none.json', /there is no such file/);
});
