import { readFile } from 'node:fs/promises';
import {
  Field,
  FixedSizeList,
  Float32,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
} from 'apache-arrow';
import { UserInputError } from '../errors.ts';
import { writeAtomically } from './atomic-file.ts';
import { orUnreadable } from './file-chunks.ts';
import { findTableFile, readTableRows } from './tables/table-rows.ts';

/** Where a run keeps its predictions, in its directory. */
export const predictionsFile = 'predictions.arrow';

/** What models say of the same held-out rows. */
export interface Predictions {
  /** The right class of each row; undefined when nobody knows. */
  readonly targets: Int32Array | undefined;
  readonly classes: number;
  /** By model: [rows, classes], probabilities. */
  readonly models: ReadonlyMap<string, Float32Array>;
}

/**
 * Writes an Arrow file: `target` Int32, and for each model a column FixedSizeList<Float32>[classes] of probabilities.
 */
export async function writePredictions(path: string, predictions: Predictions): Promise<void> {
  const { targets, classes, models } = predictions;
  const type = new FixedSizeList(classes, new Field('item', new Float32(), false));
  const names = [...(targets === undefined ? [] : ['target']), ...models.keys()];
  const lists = [...models.values()].map((values) =>
    makeData({
      type,
      length: values.length / classes,
      child: makeData({ type: new Float32(), data: values }),
    }),
  );
  const columns = [
    ...(targets === undefined ? [] : [makeData({ type: new Int32(), data: targets })]),
    ...lists,
  ];
  const fields = names.map((name, index) => new Field(name, columns[index]!.type, false));
  const schema = new Schema(fields);
  const length = columns[0]?.length ?? 0;
  const batch = new RecordBatch(
    schema,
    makeData({ type: new Struct(fields), length, children: columns }),
  );
  await writeAtomically(path, [tableToIPC(new Table(schema, [batch]), 'file')]);
}

/**
 * Reads predictions: an Arrow file as `writePredictions` makes it, or a table (CSV, parquet) with a header, `target` if it is known,
 * and a column for each model with the probability of class 1 (two classes), or for each model and class `model/0`,
 * `model/1`, … Arrow files should be of your own making: a damaged one can take long to be refused.
 * @throws UserInputError when it has no predictions, or a value that is no probability, with its row.
 */
export async function readPredictions(path: string): Promise<Predictions> {
  const predictions = /\.(arrow|feather)$/i.test(path)
    ? await readArrow(path)
    : await readTable(path);
  check(path, predictions);
  return predictions;
}

async function readArrow(path: string): Promise<Predictions> {
  const bytes = await orUnreadable(path, readFile(path));
  let table: Table;
  try {
    table = tableFromIPC(bytes);
  } catch (cause) {
    throw new UserInputError(`${path} is no Arrow file: ${(cause as Error).message}`, { cause });
  }
  const models = new Map<string, Float32Array>();
  let targets: Int32Array | undefined;
  let classes = 0;
  for (const { name, type } of table.schema.fields) {
    const column = table.getChild(name);
    if (column === null) continue;
    if (name === 'target') {
      targets = Int32Array.from(column.toArray() as ArrayLike<number>);
    } else if (type instanceof FixedSizeList) {
      classes = type.listSize;
      const values = column.data.map((data) => data.children[0]!.values as Float32Array);
      models.set(name, concatenate(values));
    }
  }
  return { targets, classes, models };
}

async function readTable(path: string): Promise<Predictions> {
  const format = { delimiter: ',', quotes: true, trim: true };
  const rows: (readonly (string | undefined)[])[] = [];
  for await (const some of readTableRows(await findTableFile(path), format)) {
    for (const { row, fields, problem } of some.rows) {
      const ragged = rows[0] !== undefined && fields.length !== rows[0].length;
      const wrong =
        problem ?? (ragged ? `it has ${fields.length} fields, not ${rows[0]?.length}` : undefined);
      if (wrong !== undefined) throw new UserInputError(`${path}, row ${row - 1}: ${wrong}`);
      rows.push(fields);
    }
  }
  const [header = [], ...body] = rows;
  const columnOf = (name: string): readonly number[] => {
    const index = header.indexOf(name);
    return body.map((row, at) => numberIn(path, { text: row[index] ?? '', name, row: at + 1 }));
  };
  const names = header.filter((name) => name !== undefined && name !== 'target') as string[];
  const many = names.some((name) => /\/\d+$/.test(name));
  const models = new Map<string, Float32Array>();
  let classes = 2;
  for (const name of new Set(names.map((each) => (many ? each.replace(/\/\d+$/, '') : each)))) {
    const columns = many
      ? names.filter((each) => each.replace(/\/\d+$/, '') === name).map(columnOf)
      : [columnOf(name).map((value) => 1 - value), columnOf(name)];
    classes = columns.length;
    models.set(
      name,
      Float32Array.from(body.flatMap((_, row) => columns.map((column) => column[row]!))),
    );
  }
  const targets = header.includes('target') ? Int32Array.from(columnOf('target')) : undefined;
  return { targets, classes, models };
}

function numberIn(
  path: string,
  { text, name, row }: { readonly text: string; readonly name: string; readonly row: number },
): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new UserInputError(`${path}, row ${row}: ${name} is "${text}", expected a number`);
}

/** How far the sum of a row's probabilities may be from 1. */
const SUM_TOLERANCE = 0.01;

function check(path: string, { targets, classes, models }: Predictions): void {
  const [first] = models.values();
  if (first === undefined || first.length === 0) {
    throw new UserInputError(
      `${path} has no predictions: expected an Arrow file that a run saved, or a CSV with a column for each model.`,
    );
  }
  for (const [name, values] of models) {
    if (values.length !== first.length) {
      throw new UserInputError(`${path}: ${name} has other classes or rows than the models before`);
    }
    for (let at = 0; at < values.length; at += classes) {
      const row = values.subarray(at, at + classes);
      const sum = row.reduce((total, value) => total + value, 0);
      if (row.every((value) => value >= 0) && Math.abs(sum - 1) <= SUM_TOLERANCE) continue;
      throw new UserInputError(
        `${path}, row ${at / classes + 1}: ${name} is ${[...row].join(', ')}, expected probabilities`,
      );
    }
  }
  const wrong = targets?.findIndex((target) => !(target >= 0 && target < classes)) ?? -1;
  if (wrong < 0) return;
  throw new UserInputError(
    `${path}, row ${wrong + 1}: target is ${targets?.[wrong]}, expected a class from 0 to ${classes - 1}`,
  );
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
