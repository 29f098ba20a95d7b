import type { Inspection } from '../runtime/index.ts';
import type { Column } from './table.ts';

/** One kind of thing that a command lists. */
export interface Listing<Row extends object> {
  /** Of the JSON objects. */
  readonly type: string;
  /** What `--filter` may name. */
  readonly keys: readonly string[];
  readonly columns: readonly Column<Row>[];
  /** Called once per command, so that the rows of one look may depend on those of the one before. */
  createReader(): (inspection: Inspection, nowMs: number) => readonly Row[];
  /** What doesn't fit into the table: a sentence each. */
  notes(rows: readonly Row[]): readonly string[];
}
