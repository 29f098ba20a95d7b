import type { JobEvent } from '../../runtime/index.ts';
import type { Column } from '../output/table.ts';

/** One kind of thing that a command lists. */
export interface Listing<Row extends object> {
  /** Of the JSON objects. */
  readonly type: string;
  /** What `--filter` may name. */
  readonly keys: readonly string[];
  /** Titles of columns whose key is another word: `--filter` takes them too. */
  readonly titles?: Readonly<Record<string, string>>;
  readonly columns: readonly Column<Row>[];
  /** Its rows are changes since the look before: the first one shows nothing. */
  readonly compares?: boolean;
  /** What doesn't fit into the table: a sentence each. */
  notes(rows: readonly Row[]): readonly string[];
}

/** Where rows come from; disposing ends the connection. */
export interface RowSource<Row extends object> extends AsyncDisposable {
  /** For people: where one looks. */
  readonly place: string;
  /** @throws DeadlineError when nobody answers. */
  look(): Promise<Look<Row>>;
}

export interface Look<Row extends object> {
  readonly rows: readonly Row[];
  readonly gaps: readonly Gap[];
}

/** Something that the rows can't have: a sentence for people, an object for programs. */
export interface Gap {
  readonly text: string;
  readonly event: JobEvent;
}
