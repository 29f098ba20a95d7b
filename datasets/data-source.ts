import type { Batches } from './batches.ts';
import { openRecordBatches, type RecordsSource } from './prepared/dataset-batches.ts';
import { openTokenShard } from './token-shard.ts';
import { createWindows } from './windows.ts';

/** Where batches come from, as plain data; paths are on the host that opens it. */
export type DataSource = WindowsSource | RecordsSource;

/** A token file, read as `createWindows` does. */
export interface WindowsSource {
  readonly kind: 'text';
  readonly path: string;
  readonly batch: number;
  readonly time: number;
}

/** @throws UserInputError when it is too small for a batch; DamagedDataError. */
export async function openBatches(source: DataSource): Promise<Batches> {
  return source.kind === 'text'
    ? createWindows(await openTokenShard(source.path), source)
    : await openRecordBatches(source);
}
