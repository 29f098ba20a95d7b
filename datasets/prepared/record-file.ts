import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { crc32 } from 'node:zlib';
import { tableFromIPC, tableToIPC } from 'apache-arrow';
import { DamagedDataError } from '../../errors.ts';
import { cannotWrite } from '../atomic-file.ts';
import {
  arrowTable,
  bytesPerRow,
  emptyValues,
  type RecordColumn,
  type RecordValues,
  valuesOfTable,
  valuesPerRow,
} from './record-columns.ts';

/** Where a record batch is in its file, and what it must be. */
export interface RecordBlock {
  readonly offset: number;
  readonly bytes: number;
  readonly rows: number;
  readonly crc32: number;
}

/** A file of records, as a manifest describes it. */
export interface RecordFileEntry {
  /** Its name in the data set's folder. */
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  /** The Arrow schema at the start of the file. */
  readonly schema: { readonly bytes: number; readonly crc32: number };
  readonly blocks: readonly RecordBlock[];
}

/** Rows of one block are held in memory, by who writes and by who reads them. */
const BLOCK_BYTES = 4 << 20;
/** Arrow's end of a stream: a continuation marker and the length 0. */
const END_OF_STREAM = Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/** Rows of one block of a file with these columns. */
export function rowsPerBlock(columns: readonly RecordColumn[]): number {
  return Math.max(1, Math.floor(BLOCK_BYTES / bytesPerRow(columns)));
}

/**
 * Writes rows to an Arrow file (IPC stream format), a block of about 4 MiB after the other. The
 * file has its name only once it is whole.
 */
export class RecordWriter {
  readonly #path: string;
  readonly #draft: string;
  readonly #file: string;
  readonly #columns: readonly RecordColumn[];
  readonly #handle: FileHandle;
  readonly #values: RecordValues;
  readonly #rowsMax: number;
  readonly #hash = createHash('sha256');
  readonly #blocks: RecordBlock[] = [];
  #schema: RecordFileEntry['schema'] | undefined;
  #waiting = 0;
  #rows = 0;
  #offset = 0;

  private constructor(
    directory: string,
    file: string,
    columns: readonly RecordColumn[],
    handle: FileHandle,
  ) {
    this.#path = join(directory, file);
    this.#draft = draftOf(this.#path);
    this.#file = file;
    this.#columns = columns;
    this.#handle = handle;
    this.#rowsMax = rowsPerBlock(columns);
    this.#values = emptyValues(columns, this.#rowsMax);
  }

  /** @throws UserInputError that says what stands in the way. */
  static async create(
    directory: string,
    file: string,
    columns: readonly RecordColumn[],
  ): Promise<RecordWriter> {
    const path = join(directory, file);
    try {
      return new RecordWriter(directory, file, columns, await open(draftOf(path), 'w'));
    } catch (cause) {
      throw cannotWrite(path, cause);
    }
  }

  get rows(): number {
    return this.#rows + this.#waiting;
  }

  /**
   * Takes over one row: by column, its values in row-major order. What is returned must be awaited,
   * where there is something, before the next row.
   */
  append(row: Readonly<Record<string, ArrayLike<number>>>): Promise<void> | undefined {
    for (const column of this.#columns) {
      const values = row[column.name];
      const count = valuesPerRow(column);
      if (values?.length !== count) {
        throw new RangeError(`column ${column.name} takes ${count} values, not ${values?.length}`);
      }
      this.#values[column.name]!.set(values, this.#waiting * count);
    }
    this.#waiting++;
    return this.#waiting === this.#rowsMax ? this.#writeBlock() : undefined;
  }

  /** @throws UserInputError when the disk is full or fails; the file is then as it was before. */
  async finish(): Promise<RecordFileEntry> {
    // A file without rows has its schema all the same.
    if (this.#waiting > 0 || this.#schema === undefined) await this.#writeBlock();
    await this.#write(END_OF_STREAM);
    await this.#orCannotWrite(async () => {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#draft, this.#path);
    });
    return {
      file: this.#file,
      rows: this.#rows,
      bytes: this.#offset,
      sha256: this.#hash.digest('hex'),
      schema: this.#schema!,
      blocks: this.#blocks,
    };
  }

  /** Leaves nothing of what was written. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.#draft, { force: true });
  }

  async #writeBlock(): Promise<void> {
    const rows = this.#waiting;
    const stream = tableToIPC(arrowTable(this.#columns, this.#values, rows), 'stream');
    const schemaBytes = messageBytes(stream);
    if (this.#schema === undefined) {
      const schema = stream.subarray(0, schemaBytes);
      this.#schema = { bytes: schemaBytes, crc32: crc32(schema) };
      await this.#write(schema);
    }
    const block = stream.subarray(schemaBytes, stream.length - END_OF_STREAM.length);
    if (rows > 0) {
      const { length: bytes } = block;
      this.#blocks.push({ offset: this.#offset, bytes, rows, crc32: crc32(block) });
      await this.#write(block);
    }
    this.#rows += rows;
    this.#waiting = 0;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#orCannotWrite(() => this.#handle.writeFile(bytes));
    this.#hash.update(bytes);
    this.#offset += bytes.length;
  }

  async #orCannotWrite(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      await this.discard();
      throw cannotWrite(this.#path, cause);
    }
  }
}

/** A file of records that is read block by block, each checked; it is open only meanwhile. */
export class RecordFile {
  readonly columns: readonly RecordColumn[];
  readonly rows: number;
  readonly blocks: readonly RecordBlock[];
  readonly #path: string;
  readonly #schema: Uint8Array;

  private constructor(
    path: string,
    entry: RecordFileEntry,
    columns: readonly RecordColumn[],
    schema: Uint8Array,
  ) {
    this.#path = path;
    this.#schema = schema;
    this.columns = columns;
    this.rows = entry.rows;
    this.blocks = entry.blocks;
  }

  /** @throws DamagedDataError when there is no such file or it is not the one of the manifest. */
  static async open(
    directory: string,
    entry: RecordFileEntry,
    columns: readonly RecordColumn[],
  ): Promise<RecordFile> {
    const path = join(directory, entry.file);
    const schema = new Uint8Array(entry.schema.bytes);
    await reading(path, async (handle) => {
      const { size } = await handle.stat();
      if (size !== entry.bytes) throw new Error(`it has ${size} bytes, expected ${entry.bytes}`);
      await readFully(handle, schema, 0);
      if (crc32(schema) !== entry.schema.crc32) throw new Error('its schema has a wrong checksum');
    });
    return new RecordFile(path, entry, columns, schema);
  }

  /** @throws DamagedDataError when it isn't what was written; RangeError when there is none. */
  async readBlock(index: number): Promise<RecordValues> {
    const block = this.blocks[index];
    if (block === undefined) {
      throw new RangeError(`block is ${index}: ${this.#path} has ${this.blocks.length}`);
    }
    const bytes = new Uint8Array(this.#schema.length + block.bytes);
    bytes.set(this.#schema);
    const body = bytes.subarray(this.#schema.length);
    await reading(this.#path, async (handle) => {
      await readFully(handle, body, block.offset);
      // Arrow trusts what it reads.
      if (crc32(body) !== block.crc32) throw new Error(`block ${index} has a wrong checksum`);
    });
    return valuesOfTable(tableFromIPC(bytes), this.columns);
  }
}

/** Of the first message of an Arrow stream that has no body: marker, length, metadata. */
function messageBytes(stream: Uint8Array): number {
  return 8 + new DataView(stream.buffer, stream.byteOffset).getInt32(4, true);
}

function draftOf(path: string): string {
  return `${path}.${process.pid}.tmp`;
}

async function readFully(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new Error('it ends too early');
    done += bytesRead;
  }
}

/** @throws DamagedDataError for whatever goes wrong. */
async function reading(path: string, work: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await work(handle);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new DamagedDataError(
      `the record file ${path} can't be used: ${(cause as Error).message}. ` +
        'Prepare the data set again',
      { cause },
    );
  }
}
