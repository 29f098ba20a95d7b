import type { Batches } from './batches.ts';
import { openTokenShard } from './token-shard.ts';
import { createWindows } from './windows.ts';

/** Where batches come from, as plain data; paths are on the host that opens it. */
export type DataSource = {
  /** A token file, read as `createWindows` does. */
  readonly kind: 'text';
  readonly path: string;
  readonly batch: number;
  readonly time: number;
};

/** @throws UserInputError when it is too small for a batch; DamagedDataError. */
export async function openBatches(source: DataSource): Promise<Batches> {
  return createWindows(await openTokenShard(source.path), source);
}
