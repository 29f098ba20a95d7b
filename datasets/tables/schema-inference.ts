import { UserInputError } from '../../errors.ts';
import { findTableFile, isParquet, readTableRows, type TableRow } from './table-rows.ts';
import { parseTableSchema, type TableSchema } from './table-schema.ts';

const ROWS_LOOKED_AT_MAX = 10_000;
const DELIMITERS = [',', '\t', ';', '|'];
const LABEL_NAMES = ['label', 'target', 'class', 'y'];
const MISSING = ['', '?', 'NA', 'N/A', 'NaN', 'nan', 'null', 'NULL'];
const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;

export interface InferenceOptions {
  /** Name of the label's column; else the one that is called label, target, class or y, or the last. */
  readonly label?: string;
  /** Absent: the first row is taken as header if none of its fields is a number. */
  readonly header?: boolean;
}

/**
 * Guesses a schema from the first 10,000 rows: columns of numbers are numeric, all others
 * categorical. Fields like `?`, `NA` and empty ones count as missing.
 * @throws UserInputError when the file has no rows, or no column that is called so.
 */
export async function inferTableSchema(
  path: string,
  options: InferenceOptions = {},
): Promise<TableSchema> {
  const file = await findTableFile(path);
  const delimiter = isParquet(path) ? ',' : await guessDelimiter(path);
  const format = { delimiter, quotes: true, trim: true };
  const rows: TableRow[] = [];
  for await (const some of readTableRows(file, format)) {
    rows.push(...some.rows);
    if (rows.length > ROWS_LOOKED_AT_MAX) break;
  }
  const first = rows.find(({ problem }) => problem === undefined)?.fields;
  if (first === undefined) throw new UserInputError(`${path} has no rows: it can't be guessed at`);
  const header =
    isParquet(path) ||
    (options.header ?? first.every((field) => field !== undefined && !NUMBER.test(field)));
  const names = first.map((name, index) => (header ? (name ?? '') : `column-${index + 1}`));
  const samples = rows
    .slice(header ? 1 : 0, ROWS_LOOKED_AT_MAX + 1)
    .filter(({ fields }) => fields.length === names.length);
  if (samples.length === 0) {
    throw new UserInputError(`${path} has no rows below its header: it can't be guessed at`);
  }
  const label = labelAmong(path, names, options.label);
  const missing = new Set(MISSING);
  return parseTableSchema(
    {
      delimiter,
      header,
      quotes: true,
      trim: true,
      missing: MISSING,
      columns: names.map((name, index) => {
        if (name === label) return { kind: 'label', name };
        const values = samples
          .map(({ fields }) => fields[index])
          .filter((value) => value !== undefined && !missing.has(value));
        const isNumeric = values.length > 0 && values.every((value) => NUMBER.test(value!));
        return { kind: isNumeric ? 'numeric' : 'categorical', name };
      }),
    },
    `the schema guessed from ${path}`,
  );
}

/** The one that cuts the first line into most fields. */
async function guessDelimiter(path: string): Promise<string> {
  if (/\.(tsv|tab)(\.gz)?$/i.test(path)) return '\t';
  const file = await findTableFile(path);
  const format = { delimiter: '\n', quotes: false, trim: false };
  for await (const { rows } of readTableRows(file, format)) {
    const line = rows[0]?.fields[0];
    if (line === undefined) continue;
    const counts = DELIMITERS.map((delimiter) => line.split(delimiter).length);
    return DELIMITERS[counts.indexOf(Math.max(...counts))]!;
  }
  return ',';
}

function labelAmong(path: string, names: readonly string[], asked: string | undefined): string {
  if (asked !== undefined) {
    if (names.includes(asked)) return asked;
    throw new UserInputError(`${path} has no column '${asked}': it has ${names.join(', ')}`);
  }
  return names.find((name) => LABEL_NAMES.includes(name.toLowerCase())) ?? names.at(-1)!;
}
