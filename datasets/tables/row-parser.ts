import { UserInputError } from '../../errors.ts';
import type { TableRow } from './table-rows.ts';
import type { ColumnOf, TableSchema } from './table-schema.ts';

/** A row whose every field was understood. */
export interface ParsedRow {
  /** By numeric column, transformed; NaN where missing. */
  readonly numeric: readonly number[];
  /** By categorical column; undefined where missing. */
  readonly categorical: readonly (string | undefined)[];
  readonly label: string;
}

/** @returns the row, or what is wrong with it. */
export type RowParser = (row: TableRow) => ParsedRow | string;

/** No hexadecimal digits, infinities or blanks, which JavaScript would take. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * @param header names of the file's columns; absent: they are as in the schema
 * @param classes labels that there are; absent: all
 * @throws UserInputError when the header and the schema don't fit.
 */
export function createRowParser(
  schema: TableSchema,
  options: {
    readonly path: string;
    readonly header?: readonly string[] | undefined;
    readonly classes?: readonly string[] | undefined;
  },
): RowParser {
  const places = placesOf(schema, options);
  const numeric = columnsOf(schema, 'numeric').map((column) => ({
    ...column,
    at: places.get(column.name)!,
  }));
  const categorical = columnsOf(schema, 'categorical').map(({ name }) => places.get(name)!);
  const label = columnsOf(schema, 'label')[0]!;
  const labelAt = places.get(label.name)!;
  const declared = options.classes ?? label.classes;
  const classes = declared && new Set(declared);
  const columnCount = options.header?.length ?? schema.columns.length;
  const valueAt = (row: TableRow, at: number): string | undefined => {
    const field = row.fields[at];
    return field === undefined || schema.missing.includes(field) ? undefined : field;
  };

  return (row) => {
    if (row.problem !== undefined) return row.problem;
    if (row.fields.length !== columnCount) {
      return `it has ${row.fields.length} fields, expected ${columnCount}`;
    }
    const numbers: number[] = [];
    for (const { name, at, transform } of numeric) {
      const text = valueAt(row, at)?.trim();
      const value = text === undefined ? Number.NaN : Number(text);
      // Numbers beyond double precision are wrong as well.
      if (text !== undefined && !(NUMBER.test(text) && Number.isFinite(value))) {
        return `column ${name}: ${quote(text)} is no number`;
      }
      numbers.push(transform === 'none' ? value : signedLog1p(value));
    }
    const written = valueAt(row, labelAt);
    if (written === undefined) return `column ${label.name}: the label is missing`;
    const { suffix } = label;
    const hasSuffix = suffix !== undefined && suffix !== '' && written.endsWith(suffix);
    const name = hasSuffix ? written.slice(0, -suffix.length) : written;
    if (classes !== undefined && !classes.has(name)) {
      return `column ${label.name}: the label ${quote(name)} is none of ${list(classes)}`;
    }
    return {
      numeric: numbers,
      categorical: categorical.map((at) => valueAt(row, at)),
      label: name,
    };
  };
}

/** sign(x) · ln(1 + |x|): grows with x, keeps 0, and takes counts as they are spread closer. */
export function signedLog1p(value: number): number {
  return Math.sign(value) * Math.log1p(Math.abs(value));
}

export function columnsOf<Kind extends 'numeric' | 'categorical' | 'label'>(
  schema: TableSchema,
  kind: Kind,
): readonly ColumnOf<Kind>[] {
  return schema.columns.filter((column): column is ColumnOf<Kind> => column.kind === kind);
}

/** Which field each column of the schema is. */
function placesOf(
  { columns }: TableSchema,
  { path, header }: { readonly path: string; readonly header?: readonly string[] | undefined },
): ReadonlyMap<string, number> {
  if (header === undefined) return new Map(columns.map(({ name }, index) => [name, index]));
  const places = new Map(header.map((name, index) => [name, index]));
  if (places.size < header.length) {
    const twice = header.find((name, index) => header.indexOf(name) !== index);
    throw new UserInputError(`${path} has two columns ${quote(twice!)}: give each its own name`);
  }
  const known = new Set(columns.map(({ name }) => name));
  const lacking = [...known].filter((name) => !places.has(name));
  const unknown = header.filter((name) => !known.has(name));
  if (lacking.length === 0 && unknown.length === 0) return places;
  const parts = [
    lacking.length > 0 ? `lacks the columns ${list(lacking)} of the schema` : '',
    unknown.length > 0
      ? `has the columns ${list(unknown)}, which the schema doesn't name (they can be of kind ignore)`
      : '',
  ];
  throw new UserInputError(`${path} ${parts.filter(Boolean).join(' and ')}`);
}

const SHOWN_CHARACTERS_MAX = 40;
const SHOWN_NAMES_MAX = 10;

function quote(text: string): string {
  const shown =
    text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
  return `'${shown}'`;
}

function list(names: Iterable<string>): string {
  const all = [...names];
  const shown = all.slice(0, SHOWN_NAMES_MAX).map(quote).join(', ');
  return all.length > SHOWN_NAMES_MAX ? `${shown} and ${all.length - SHOWN_NAMES_MAX} more` : shown;
}
