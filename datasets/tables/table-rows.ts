import { stat } from 'node:fs/promises';
import { UserInputError } from '../../errors.ts';
import { orUnreadable } from '../file-chunks.ts';
import { textRows } from './text-rows.ts';

/** A row of a table as it was read. */
export interface TableRow {
  /** From 1 on, without the header. */
  readonly row: number;
  /** Of a text file, the one where the row ends. */
  readonly line?: number;
  /** In the order of the file; undefined where a parquet file has null. */
  readonly fields: readonly (string | undefined)[];
  /** Why the row can't be split into fields. */
  readonly problem?: string;
}

/** Some rows that follow one another. */
export interface TableRows {
  readonly rows: readonly TableRow[];
  /** How much of the file has been read so far. */
  readonly bytesRead: number;
}

/** How a text is split into rows and fields. */
export interface TextFormat {
  readonly delimiter: string;
  readonly quotes: boolean;
  readonly comment?: string | undefined;
  readonly trim: boolean;
}

export interface TableFile {
  readonly path: string;
  readonly bytes: number;
}

/** @throws UserInputError when there is no such file. */
export async function findTableFile(path: string): Promise<TableFile> {
  const info = await orUnreadable(path, stat(path));
  if (info.isFile()) return { path, bytes: info.size };
  throw new UserInputError(`${path} is not a file: name a file with a table`);
}

export function isParquet(path: string): boolean {
  return /\.parquet$/i.test(path);
}

/**
 * The rows of a `.parquet` file, of anything else as text, `.gz` unpacked. A header is the first
 * row of a text, as of a parquet file the names of its columns.
 * @throws UserInputError when the file can't be read.
 */
export async function* readTableRows(
  file: TableFile,
  format: TextFormat,
): AsyncGenerator<TableRows> {
  if (!isParquet(file.path)) yield* textRows(file, format);
  else {
    // Its library is loaded only where it is needed: every actor of a run imports this folder.
    const { parquetRows } = await import('./parquet-rows.ts');
    yield* parquetRows(file);
  }
}
