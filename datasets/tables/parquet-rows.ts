import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  asyncBufferFromFile,
  type Compressors,
  parquetMetadataAsync,
  parquetRead,
} from 'hyparquet';
import { UserInputError } from '../../errors.ts';
import type { TableFile, TableRow, TableRows } from './table-rows.ts';

/** A row group is decoded whole. */
const ROW_GROUP_BYTES_MAX = 1 << 30;

/** Snappy is the library's own; Node has the others. */
const compressors: Compressors = {
  GZIP: (input) => gunzipSync(input),
  BROTLI: (input) => brotliDecompressSync(input),
  ZSTD: (input) => zstdDecompressSync(input),
};

/** The names of the columns, then the rows, a row group at a time; every value as text. */
export async function* parquetRows({ path, bytes }: TableFile): AsyncGenerator<TableRows> {
  const file = await asyncBufferFromFile(path).catch((cause: Error) => unreadable(path, cause));
  const metadata = await parquetMetadataAsync(file).catch((cause: Error) =>
    unreadable(path, cause),
  );
  const columns = topLevelColumns(metadata.schema);
  yield { rows: [{ row: 0, fields: columns }], bytesRead: 0 };
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    if (Number(group.total_byte_size) > ROW_GROUP_BYTES_MAX) {
      throw new UserInputError(
        `${path} has a row group of ${group.total_byte_size} bytes, and one is held in memory: ` +
          'write the file with row groups of at most 1 GiB',
      );
    }
    const rowEnd = rowStart + Number(group.num_rows);
    let rows: TableRow[] = [];
    const first = rowStart;
    await parquetRead({
      file,
      metadata,
      rowStart,
      rowEnd,
      compressors,
      onComplete: (values: unknown[][]) => {
        rows = values.map((fields, index) => ({
          row: first + index + 1,
          fields: fields.map(textOf),
        }));
      },
    }).catch((cause: Error) => unreadable(path, cause));
    rowStart = rowEnd;
    yield { rows, bytesRead: Math.round((bytes * rowEnd) / Number(metadata.num_rows)) };
  }
}

/** Those that are values: groups are told apart by their number of children. */
function topLevelColumns(
  schema: readonly { readonly name: string; readonly num_children?: number }[],
): string[] {
  const names: string[] = [];
  for (let index = 1; index < schema.length; index++) {
    names.push(schema[index]!.name);
    // The children follow their group, and theirs follow them.
    for (let left = schema[index]!.num_children ?? 0; left > 0; left--) {
      left += schema[++index]!.num_children ?? 0;
    }
  }
  return names;
}

function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function unreadable(path: string, cause: Error): never {
  throw new UserInputError(`can't read ${path} as parquet: ${cause.message}`, { cause });
}
