import { UserInputError } from '../../errors.ts';
import { BadRows, type OnBadRow } from '../bad-rows.ts';
import type { Dataset, TableFeatures } from '../prepared/dataset.ts';
import { DatasetWriter } from '../prepared/dataset-writer.ts';
import { createSplit, type RowPart, type SplitOptions } from '../prepared/split.ts';
import { createRowEncoder, type RowEncoder } from './row-encoder.ts';
import { columnsOf, createRowParser, type ParsedRow, type RowParser } from './row-parser.ts';
import { inferTableSchema } from './schema-inference.ts';
import { findTableFile, isParquet, readTableRows, type TableFile } from './table-rows.ts';
import type { TableSchema } from './table-schema.ts';
import { TableStatistics } from './table-statistics.ts';

const GUESSED = 'without one, the first 10,000 rows say what columns and labels there are';

export interface TableOptions {
  /** CSV, TSV (both may be `.gz`) or parquet. */
  readonly paths: readonly string[];
  /** Where the data have a test part of their own: all of it is held out, and nothing of `paths`. */
  readonly heldOutPaths?: readonly string[];
  /** Absent: guessed from the first rows of the first file. */
  readonly schema?: TableSchema;
  /** Told what was guessed where `schema` is absent. */
  readonly onSchemaGuessed?: (schema: TableSchema) => void;
  readonly split: SplitOptions;
  /** `stop` (the default) at the first row that can't be used, or leave such rows out. */
  readonly onBadRow?: OnBadRow;
  /** Of the hash of categorical values, 0 … 2³² − 1; 0 if absent. */
  readonly hashSeed?: number;
  /** Made if absent; a data set that is there already is replaced. */
  readonly directory: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TableProgress) => void;
}

export interface TableProgress {
  readonly phase: 'statistics' | 'records';
  /** Bytes on disk. */
  readonly done: number;
  readonly total: number;
}

/** What the records of a data set hold. */
export type TableDescription = Pick<Dataset, 'columns' | 'classes'> & {
  readonly features: TableFeatures;
};

/**
 * What `prepareTable` would make of a table. Its rows are read only where the schema leaves open which values or
 * classes there are; where it doesn't there need be no paths, and moments of numbers are left out (mean 0, deviation 1).
 * @throws UserInputError that names file, row and reason for what can't be used.
 */
export async function describeTable(
  options: Omit<TableOptions, 'directory' | 'onProgress'>,
): Promise<TableDescription> {
  const { features, classes, encoder } = await surveyTable(options, { needsMoments: false });
  return { features, classes, columns: encoder.columns };
}

/**
 * Reads a table twice, for the statistics of its training part and to write its records, and never
 * holds more than a few rows of it. The same files and options give the same bytes.
 * @throws UserInputError that names file, row and reason for what can't be used; the signal's reason
 *   when it aborts.
 */
export async function prepareTable(options: TableOptions): Promise<Dataset> {
  const survey = await surveyTable(options, { needsMoments: true });
  const { files, heldOutFiles, schema, features, classes, encoder, bad } = survey;
  await using writer = await DatasetWriter.create(
    options.directory,
    encoder.columns,
    options.split,
  );
  const write = (row: ParsedRow, part: RowPart) => writer.append(part, encoder.encode(row));
  // The first pass has counted the bad rows of these files.
  const known = new BadRows('skip');
  await readRows({ files, schema, options, bad: known, phase: 'records' }, write);
  if (heldOutFiles.length > 0) {
    const reading = {
      files: heldOutFiles,
      schema,
      options,
      bad,
      phase: 'records',
      classes,
    } as const;
    await readRows(reading, (row) => write(row, 'held-out'));
  }
  return await writer.finish({ classes: [...classes], features, skipped: bad.summary() });
}

interface Survey {
  readonly files: readonly TableFile[];
  readonly heldOutFiles: readonly TableFile[];
  readonly schema: TableSchema;
  readonly features: TableFeatures;
  readonly classes: readonly string[];
  readonly encoder: RowEncoder;
  readonly bad: BadRows;
}

/** The first pass over the rows. */
async function surveyTable(
  options: Omit<TableOptions, 'directory'>,
  { needsMoments }: { readonly needsMoments: boolean },
): Promise<Survey> {
  const { paths, heldOutPaths = [], onBadRow = 'stop', hashSeed = 0 } = options;
  const isRead = needsMoments || options.schema === undefined || !saysAllValues(options.schema);
  if (isRead && paths.length === 0) {
    throw new UserInputError('no path was given: name a file with a table');
  }
  const files = await findAll(paths);
  const heldOutFiles = await findAll(heldOutPaths);
  const schema = options.schema ?? (await inferTableSchema(files[0]!.path));
  if (options.schema === undefined) options.onSchemaGuessed?.(schema);
  const advice = options.schema === undefined ? `, or give a schema: ${GUESSED}` : '';
  const bad = new BadRows(onBadRow, advice);
  const statistics = new TableStatistics(schema);
  if (isRead) {
    await readRows({ files, schema, options, bad, phase: 'statistics' }, (row, part) => {
      statistics.add(row, part !== 'held-out');
      return undefined;
    });
    if (statistics.trainingRows === 0) {
      throw new UserInputError(`${paths.join(', ')} has no rows that can be used`);
    }
  }
  const classes = statistics.classes();
  if (classes.length < 2) {
    throw new UserInputError(`all rows have the label ${classes[0]}: there is nothing to learn`);
  }
  const features: TableFeatures = {
    kind: 'table',
    numeric: statistics.numericFeatures(),
    categorical: statistics.categoricalFeatures(),
    hashSeed,
  };
  const encoder = createRowEncoder(schema, features, classes);
  return { files, heldOutFiles, schema, features, classes, encoder, bad };
}

function saysAllValues(schema: TableSchema): boolean {
  return (
    columnsOf(schema, 'label').every(({ classes }) => classes !== undefined) &&
    columnsOf(schema, 'categorical').every(({ buckets }) => buckets !== undefined)
  );
}

interface Reading {
  readonly files: readonly TableFile[];
  readonly schema: TableSchema;
  readonly options: Omit<TableOptions, 'directory'>;
  readonly bad: BadRows;
  readonly phase: TableProgress['phase'];
  readonly classes?: readonly string[];
}

/** Hands on every good row with the part that it belongs to; what is returned is awaited. */
async function readRows(
  { files, schema, options, bad, phase, classes }: Reading,
  take: (row: ParsedRow, part: RowPart) => Promise<unknown> | undefined,
): Promise<void> {
  const split = createSplit(options.split, { heldOut: (options.heldOutPaths?.length ?? 0) === 0 });
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let before = 0;
  for (const file of files) {
    const hasHeader = schema.header || isParquet(file.path);
    let parser: RowParser | undefined = hasHeader
      ? undefined
      : createRowParser(schema, { path: file.path, classes });
    for await (const { rows, bytesRead } of readTableRows(file, schema)) {
      options.signal?.throwIfAborted();
      for (const row of rows) {
        if (parser === undefined) {
          const header = row.fields.map((name) => name ?? '');
          parser = createRowParser(schema, { path: file.path, header, classes });
          continue;
        }
        // Drawn for bad rows as well: where a row goes depends on nothing but its place.
        const part = split();
        const parsed = parser(row);
        if (typeof parsed === 'string') {
          const number = hasHeader && !isParquet(file.path) ? row.row - 1 : row.row;
          const line = row.line === undefined ? '' : ` (line ${row.line})`;
          bad.add(`${file.path}, row ${number}${line}`, parsed);
          continue;
        }
        const pending = take(parsed, part);
        if (pending) await pending;
      }
      options.onProgress?.({ phase, done: before + bytesRead, total });
    }
    before += file.bytes;
  }
}

async function findAll(paths: readonly string[]): Promise<readonly TableFile[]> {
  return await Promise.all(paths.map((path) => findTableFile(path)));
}
