import type { Batches } from './batches.ts';
import { openRecordBatches, type RecordsSource } from './prepared/dataset-batches.ts';
import { openTextParts, type TextPart } from './text-parts.ts';
import { createWindows } from './windows.ts';

/** Where batches come from, as plain data; paths are on the host that opens it. */
export type DataSource = WindowsSource | RecordsSource;

/** Parts of token files one after the other, read as `createWindows` does. */
export interface WindowsSource {
  readonly kind: 'text';
  readonly parts: readonly TextPart[];
  readonly batch: number;
  readonly time: number;
}

/** @throws UserInputError when it is too small for a batch; DamagedDataError. */
export async function openBatches(source: DataSource): Promise<Batches> {
  return source.kind === 'text'
    ? createWindows(await openTextParts(source.parts), source)
    : await openRecordBatches(source);
}
