import { join } from 'node:path';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { writeAtomically } from '../atomic-file.ts';

/** Columns of equal length. `null`: not known. */
export type Columns = Readonly<Record<string, readonly (string | number | null)[]>>;

/** Writes `<name>.csv` (RFC 4180) and `<name>.arrow` (an IPC file) with the same columns. */
export function writeFigures(directory: string, name: string, columns: Columns): void {
  writeAtomically(join(directory, `${name}.csv`), formatCsv(columns));
  writeAtomically(join(directory, `${name}.arrow`), tableToIPC(tableFromArrays(columns), 'file'));
}

function formatCsv(columns: Columns): string {
  const names = Object.keys(columns);
  const lists = Object.values(columns);
  const rows = Array.from({ length: lists[0]?.length ?? 0 }, (_, row) =>
    lists.map((list) => list[row] ?? ''),
  );
  return [names, ...rows].map((cells) => `${cells.map(quote).join(',')}\n`).join('');
}

function quote(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
