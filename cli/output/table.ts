import Table from 'cli-table3';

/** One column of a table for people. */
export interface Column<Row> {
  readonly title: string;
  /** Default: `left`. */
  readonly align?: 'left' | 'right';
  text(row: Row): string;
}

const noLines = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Columns without lines between them, each as wide as its widest cell. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const table = new Table({
    head: columns.map(({ title }) => title.toUpperCase()),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    chars: noLines,
  });
  table.push(...rows.map((row) => columns.map(({ text }) => text(row))));
  return table.toString().replaceAll(/ +$/gm, '');
}
