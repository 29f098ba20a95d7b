import { UserInputError } from '../../errors.ts';
import { findTableFile, isParquet, readTableRows, type TableRow } from './table-rows.ts';
import { parseTableSchema, type TableColumn, type TableSchema } from './table-schema.ts';
import { sortClasses } from './table-statistics.ts';

const ROWS_LOOKED_AT_MAX = 10_000;
/** A column of numbers may have so many slips, which are bad rows then and no reason to take all as categories. */
const NUMBERS_SHARE_MIN = 0.95;
const CLASSES_SHOWN_MAX = 10;
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
 * Guesses a schema from the first 10,000 rows: columns with at least 95 % numbers are numeric, all others
 * categorical; fields like `?`, `NA` and empty ones count as missing. The classes are the labels of these rows. What
 * doesn't fit, here or later in the table, is a bad row.
 * @throws UserInputError when the file has no rows, no column that is called so, or more rows than were looked at, which
 *   all have the same label.
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
  const valuesAt = (index: number): readonly string[] =>
    samples
      .map(({ fields }) => fields[index])
      .filter((value) => value !== undefined && !missing.has(value)) as string[];
  const columnAt = (name: string, index: number): TableColumn => {
    const values = valuesAt(index);
    if (name === label) return { kind: 'label', name, ...classesAmong(path, name, values) };
    const numbers = values.filter((value) => NUMBER.test(value)).length;
    const isNumeric = numbers > 0 && numbers >= NUMBERS_SHARE_MIN * values.length;
    return isNumeric
      ? { kind: 'numeric', name, transform: 'none', indicateMissing: false }
      : { kind: 'categorical', name };
  };
  return parseTableSchema(
    {
      delimiter,
      header,
      quotes: true,
      trim: true,
      missing: MISSING,
      columns: names.map(columnAt),
    },
    `the schema guessed from ${path}`,
  );
}

/** What a guessed schema says, in a line: `age numeric, town categorical, rich label (no, yes)`. */
export function describeColumns({ columns }: TableSchema): string {
  return columns
    .map((column) => {
      const { name, kind } = column;
      const classes = kind === 'label' ? (column.classes ?? []) : [];
      if (classes.length === 0) return `${name} ${kind}`;
      const shown = classes.slice(0, CLASSES_SHOWN_MAX).join(', ');
      const more = classes.length - CLASSES_SHOWN_MAX;
      return `${name} ${kind} (${shown}${more > 0 ? ` and ${more} more` : ''})`;
    })
    .join(', ');
}

/** Too few to say are left to who reads all rows. */
function classesAmong(
  path: string,
  name: string,
  labels: readonly string[],
): { readonly classes?: string[] } {
  const classes = sortClasses(new Set(labels));
  if (classes.length >= 2) return { classes };
  if (labels.length < ROWS_LOOKED_AT_MAX) return {};
  throw new UserInputError(
    `the first ${labels.length} rows of ${path} all have '${classes[0]}' as ${name}, the label: if the rows are sorted ` +
      'by it, or another column is meant, say so in a schema',
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
