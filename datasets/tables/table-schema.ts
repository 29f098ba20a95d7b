import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { UserInputError } from '../../errors.ts';
import { orUnreadable } from '../file-chunks.ts';

const name = v.pipe(v.string(), v.nonEmpty('a column needs a name'));

const column = v.variant('kind', [
  v.strictObject({
    kind: v.literal('numeric'),
    name,
    /** `signed-log1p`: x becomes sign(x) · ln(1 + |x|), so that counts and −1 can be told apart. */
    transform: v.optional(v.picklist(['none', 'signed-log1p']), 'none'),
    /** Adds a column `<name>:missing` that is 1 where the value is missing, else 0. */
    indicateMissing: v.optional(v.boolean(), false),
  }),
  v.strictObject({
    kind: v.literal('categorical'),
    name,
    /** Hashes values into so many numbers; absent: each value seen in training has its own. */
    buckets: v.optional(v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(1 << 24))),
  }),
  v.strictObject({
    kind: v.literal('label'),
    name,
    /** In the order of their numbers; absent: those that the training part has, sorted. */
    classes: v.optional(v.pipe(v.array(v.string()), v.minLength(2))),
    /** Taken off the end of a label that has it: `>50K.` is `>50K`. */
    suffix: v.optional(v.string()),
  }),
  v.strictObject({ kind: v.literal('ignore'), name }),
]);

const oneCharacter = v.pipe(v.string(), v.length(1, 'it is a single character'));

const schemaDocument = v.pipe(
  v.strictObject({
    delimiter: v.optional(oneCharacter, ','),
    /** Whether the first row has the columns' names. Of parquet files the columns have theirs. */
    header: v.optional(v.boolean(), true),
    /** Whether fields may be quoted as RFC 4180 says. */
    quotes: v.optional(v.boolean(), true),
    /** Lines that begin with it are left out. */
    comment: v.optional(oneCharacter),
    /** Takes spaces and tabs off both ends of a field. */
    trim: v.optional(v.boolean(), false),
    /** Fields that stand for a missing value. */
    missing: v.optional(v.array(v.string()), ['']),
    /** With a header in any order, without one in the order of the fields. */
    columns: v.array(column),
  }),
  v.check(
    ({ columns }) => new Set(columns.map(({ name }) => name)).size === columns.length,
    'columns: two have the same name',
  ),
  v.check(
    ({ columns }) => columns.filter(({ kind }) => kind === 'label').length === 1,
    'columns: exactly one is the label',
  ),
  v.check(
    ({ columns }) => columns.some(({ kind }) => kind === 'numeric' || kind === 'categorical'),
    'columns: at least one is numeric or categorical',
  ),
);

/** What the columns of a table are; numbers and fields are as the document says. */
export type TableSchema = v.InferOutput<typeof schemaDocument>;
/** A schema as it is written down; what is left out has its default. */
export type TableSchemaDocument = v.InferInput<typeof schemaDocument>;
export type TableColumn = TableSchema['columns'][number];
export type ColumnOf<Kind extends TableColumn['kind']> = Extract<
  TableColumn,
  { readonly kind: Kind }
>;

/** @throws UserInputError that names each wrong field of the schema. */
export function parseTableSchema(value: unknown, origin = 'the schema'): TableSchema {
  const parsed = v.safeParse(schemaDocument, value);
  if (parsed.success) return parsed.output;
  throw new UserInputError(`${origin} is wrong:\n${v.summarize(parsed.issues)}`);
}

/** @throws UserInputError when there is no such file or it is no schema. */
export async function readTableSchema(path: string): Promise<TableSchema> {
  const text = await orUnreadable(path, readFile(path, 'utf8'));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UserInputError(`${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
  return parseTableSchema(value, path);
}
