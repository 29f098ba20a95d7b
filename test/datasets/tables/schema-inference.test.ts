import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { describeColumns, inferTableSchema } from '../../../datasets/tables/schema-inference.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

async function infer(
  t: ExecutionContext,
  content: string,
  options?: Parameters<typeof inferTableSchema>[1],
  name = 'table.csv',
) {
  const folder = await temporaryFolder(t, { [name]: content });
  return await inferTableSchema(join(folder, name), options);
}

const kindsOf = ({ columns }: Awaited<ReturnType<typeof infer>>) =>
  columns.map(({ kind, name }) => `${name} ${kind}`);

test('columns of numbers are numeric, others categorical, and a column called label is it', async (t) => {
  const schema = await infer(t, 'age,label,town\n3,a,Ulm\n?,b,4\nNA,a,Bonn\n1e3,b,\n');
  t.true(schema.header);
  t.deepEqual(kindsOf(schema), ['age numeric', 'label label', 'town categorical']);
});

test('the last column is the label where none is called so, another on demand', async (t) => {
  const text = 'age,town,rich\n3,Ulm,0\n4,Bonn,1\n';
  t.deepEqual(kindsOf(await infer(t, text)), ['age numeric', 'town categorical', 'rich label']);
  t.deepEqual(kindsOf(await infer(t, text, { label: 'town' })), [
    'age numeric',
    'town label',
    'rich numeric',
  ]);
  await t.throwsAsync(infer(t, text, { label: 'poor' }), {
    message: /no column 'poor': it has age, town, rich/,
  });
});

test('a first row with a number is no header', async (t) => {
  const schema = await infer(t, '3,Ulm,yes\n4,Bonn,no\n');
  t.false(schema.header);
  t.deepEqual(kindsOf(schema), ['column-1 numeric', 'column-2 categorical', 'column-3 label']);
  t.true((await infer(t, '3,Ulm,yes\n4,Bonn,no\n', { header: true })).header);
});

test('the delimiter is that of the name, else the one that cuts most', async (t) => {
  t.is((await infer(t, 'a;b;c,d\n1;2;3\n')).delimiter, ';');
  t.is((await infer(t, 'a|b\n1|2\n')).delimiter, '|');
  t.is((await infer(t, 'a,b,c\td\n1,2,3\t4\n', undefined, 'table.tsv')).delimiter, '\t');
});

const twenty = (line: (i: number) => string) => Array.from({ length: 20 }, (_, i) => line(i));

test('one slip among many numbers does not make a column a category', async (t) => {
  const rows = [...twenty((i) => `${i},Ulm,a`), 'abc,Bonn,b'];
  t.deepEqual(kindsOf(await infer(t, ['age,town,label', ...rows].join('\n'))), [
    'age numeric',
    'town categorical',
    'label label',
  ]);
  const mixed = [...twenty((i) => (i % 4 ? `${i},a` : `x${i},b`))];
  t.is(kindsOf(await infer(t, ['code,label', ...mixed].join('\n')))[0], 'code categorical');
});

test('the labels that were seen are the classes, and a line says what was guessed', async (t) => {
  const schema = await infer(t, 'age,town,rich\n3,Ulm,yes\n4,Bonn,no\n5,Bonn,?\n');
  t.deepEqual(schema.columns.at(-1), { kind: 'label', name: 'rich', classes: ['no', 'yes'] });
  t.is(describeColumns(schema), 'age numeric, town categorical, rich label (no, yes)');
});

test('a table that looks sorted by its label can not be guessed at', async (t) => {
  const rows = Array.from({ length: 10_050 }, (_, i) => `${i},${i < 10_020 ? 'a' : 'b'}`);
  await t.throwsAsync(infer(t, ['age,rich', ...rows].join('\n')), {
    instanceOf: UserInputError,
    message: /first 10000 rows of .* all have 'a' as rich, the label: if the rows are sorted/,
  });
});

test('a table without rows can not be guessed at', async (t) => {
  await t.throwsAsync(infer(t, '\n\n'), { message: /has no rows/ });
  await t.throwsAsync(infer(t, 'a,b\n'), { message: /no rows below its header/ });
});
