import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import {
  findTableFile,
  readTableRows,
  type TableRow,
} from '../../../datasets/tables/table-rows.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const csv = { delimiter: ',', quotes: true, trim: false };

async function rowsOf(
  t: ExecutionContext,
  content: string | Uint8Array,
  format: Parameters<typeof readTableRows>[1] = csv,
  name = 'table.csv',
): Promise<readonly TableRow[]> {
  const folder = await temporaryFolder(t, { [name]: content });
  const rows: TableRow[] = [];
  const file = await findTableFile(join(folder, name));
  for await (const some of readTableRows(file, format)) rows.push(...some.rows);
  return rows;
}

const fieldsOf = (rows: readonly TableRow[]) => rows.map(({ fields }) => fields);

test('quoted fields hold delimiters, quotes and line breaks', async (t) => {
  const rows = await rowsOf(t, '"a, b","say ""no""",""\r\nx,"two\nlines",\n');
  t.deepEqual(rows, [
    { row: 1, line: 1, fields: ['a, b', 'say "no"', ''] },
    { row: 2, line: 3, fields: ['x', 'two\nlines', ''] },
  ]);
});

test('blanks around quotes count only where fields are trimmed', async (t) => {
  const text = '"a" , " b, c "\t,d\n';
  t.deepEqual(fieldsOf(await rowsOf(t, text, { ...csv, trim: true })), [['a', 'b, c', 'd']]);
  t.is((await rowsOf(t, text))[0]!.problem, 'something follows a closing quote');
  const tabs = '"a"\t\t "b"\n';
  const tsv = { delimiter: '\t', quotes: true, trim: true };
  t.deepEqual(fieldsOf(await rowsOf(t, tabs, tsv)), [['a', '', 'b']]);
});

test('byte order marks, both line ends, blank lines and a missing last line end are taken', async (t) => {
  t.deepEqual(fieldsOf(await rowsOf(t, '\ufeffa,b\r\n\r\n\n1,2\n3,4')), [
    ['a', 'b'],
    ['1', '2'],
    ['3', '4'],
  ]);
});

test('any fields that are written as RFC 4180 says come back', async (t) => {
  const field = fc.string({ unit: fc.constantFrom('a', 'ü', ',', '"', '\n', '\r\n', ' ', '') });
  const rows = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 8 });
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  await fc.assert(
    fc.asyncProperty(rows, async (written) => {
      const text = written.map((fields) => `${fields.map(quoted).join(',')}\r\n`).join('');
      t.deepEqual(fieldsOf(await rowsOf(t, text)), written);
    }),
    { numRuns: 60, seed: 1 },
  );
});

test('where a quote is wrong one line is lost, and no other', async (t) => {
  const rows = await rowsOf(t, '1,x"y\n2,"a"b\n3,ok\n4,"open\n5,fine\n6,good\n');
  t.deepEqual(
    rows.map(({ row, line, fields, problem }) => problem ?? `${row} ${line} ${fields}`),
    [
      'a quote stands inside a field that has none around it',
      'something follows a closing quote',
      '3 3 3,ok',
      'a quote is opened and not closed',
      '5 5 5,fine',
      '6 6 6,good',
    ],
  );
});

test('a quote that is never closed costs one line of a long file', async (t) => {
  const rows = await rowsOf(t, `1,"open\n${'2,x\n'.repeat(200_000)}`);
  t.is(rows.length, 200_001);
  t.deepEqual(
    rows.filter(({ problem }) => problem).map(({ row }) => row),
    [1],
  );
});

test('rows are the same however the file is cut into chunks', async (t) => {
  // Chunks are 256 KiB: fields of all lengths, some with line breaks and umlauts, lie across the cuts.
  const expected = Array.from({ length: 3000 }, (_, i) => [
    `${i}`,
    `"${'ü'.repeat(i % 300)}\n"`,
    'z',
  ]);
  const text = expected.map(([a, b, c]) => `${a},"${b!.replaceAll('"', '""')}",${c}\n`).join('');
  t.true(Buffer.byteLength(text) > 3 << 18);
  t.deepEqual(fieldsOf(await rowsOf(t, text)), expected);
  t.deepEqual(fieldsOf(await rowsOf(t, gzipSync(text), csv, 'table.csv.gz')), expected);
});

test('without quotes a quote is a character, and comments and blanks go', async (t) => {
  const format = { delimiter: '\t', quotes: false, comment: '|', trim: true };
  const rows = await rowsOf(t, '|head\na "b\t c \n\nd\t\n', format);
  t.deepEqual(rows, [
    { row: 1, line: 2, fields: ['a "b', 'c'] },
    { row: 2, line: 4, fields: ['d', ''] },
  ]);
});

test('what is no table of text is refused', async (t) => {
  const message = /has a line of over 1048576 characters: it is no table of text/;
  await t.throwsAsync(rowsOf(t, 'x'.repeat(3 << 20)), { instanceOf: UserInputError, message });
  await t.throwsAsync(rowsOf(t, 'not packed', csv, 'table.csv.gz'), {
    instanceOf: UserInputError,
    message: /it is no gzip file, or damaged/,
  });
  await t.throwsAsync(findTableFile(await temporaryFolder(t)), { message: /is not a file/ });
});
