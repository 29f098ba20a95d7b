import { UserInputError } from '../../errors.ts';
import { readChunks } from '../file-chunks.ts';
import type { TableFile, TableRow, TableRows, TextFormat } from './table-rows.ts';

/** A row is held whole; what goes on for longer lacks its end. */
const ROW_CHARACTERS_MAX = 1 << 20;
const ROW_LINES_MAX = 1000;

/**
 * The rows of a text; fields may be quoted as RFC 4180 says, if the format has quotes. Only the line
 * where a quote is wrong is lost and the next one begins a row again, so that bad rows can be counted
 * (csv-parse swallows the rows behind such a line).
 */
export async function* textRows(file: TableFile, format: TextFormat): AsyncGenerator<TableRows> {
  const decoder = new TextDecoder();
  const reader = new RowReader(format);
  let rest = '';
  let bytesRead = 0;
  for await (const chunk of readChunks(file)) {
    bytesRead = chunk.bytesRead;
    const lines = (rest + decoder.decode(chunk.bytes, { stream: true })).split('\n');
    rest = lines.pop()!;
    if (rest.length > ROW_CHARACTERS_MAX) {
      throw new UserInputError(
        `${file.path} has a line of over ${ROW_CHARACTERS_MAX} characters: it is no table of text`,
      );
    }
    yield { rows: reader.read(lines, false), bytesRead };
  }
  rest += decoder.decode();
  yield { rows: reader.read(rest === '' ? [] : [rest], true), bytesRead };
}

class RowReader {
  readonly #format: TextFormat;
  /** Of a row that may go on. */
  #waiting: readonly string[] = [];
  /** Lines and rows before those that wait. */
  #line = 0;
  #row = 0;

  constructor(format: TextFormat) {
    this.#format = format;
  }

  read(more: readonly string[], atEnd: boolean): readonly TableRow[] {
    const { delimiter, quotes, comment, trim } = this.#format;
    const lines = this.#waiting.length > 0 ? [...this.#waiting, ...more] : more;
    this.#waiting = [];
    const rows: TableRow[] = [];
    let index = 0;
    while (index < lines.length) {
      const text = lines[index]!;
      if (isBlank(text) || (comment !== undefined && text.startsWith(comment))) {
        index++;
        this.#line++;
        continue;
      }
      let fields: readonly string[] = [];
      let problem: string | undefined;
      let linesUsed = 1;
      if (quotes && text.includes('"')) {
        const parsed = parseQuotedRow(lines, index, this.#format, atEnd);
        if (parsed === 'incomplete') {
          this.#waiting = lines.slice(index);
          return rows;
        }
        ({ fields = [], problem, linesUsed } = parsed);
      } else {
        fields = withoutReturn(text).split(delimiter);
      }
      index += linesUsed;
      this.#line += linesUsed;
      rows.push({
        row: ++this.#row,
        line: this.#line,
        fields: trim ? fields.map((field) => field.trim()) : fields,
        ...(problem !== undefined && { problem }),
      });
    }
    return rows;
  }
}

interface ParsedRow {
  readonly fields?: readonly string[];
  readonly problem?: string;
  readonly linesUsed: number;
}

/** The row that begins with line `first`; a quoted field may have line breaks. */
function parseQuotedRow(
  lines: readonly string[],
  first: number,
  format: TextFormat,
  atEnd: boolean,
): ParsedRow | 'incomplete' {
  let text = lines[first]!;
  for (let linesUsed = 1; ; linesUsed++) {
    const parsed = splitQuoted(withoutReturn(text), format);
    if (typeof parsed !== 'string') return { fields: parsed, linesUsed };
    if (parsed !== 'open') return { problem: parsed, linesUsed: 1 };
    const next = lines[first + linesUsed];
    if (next === undefined && !atEnd) return 'incomplete';
    const isTooLong = text.length > ROW_CHARACTERS_MAX || linesUsed >= ROW_LINES_MAX;
    if (next === undefined || isTooLong) {
      return { problem: 'a quote is opened and not closed', linesUsed: 1 };
    }
    text += `\n${next}`;
  }
}

/** The fields, or `open` when the text ends within quotes, or what is wrong. */
function splitQuoted(text: string, { delimiter, trim }: TextFormat): readonly string[] | string {
  const skipBlanks = (from: number): number => {
    let at = from;
    // A delimiter may be a tab.
    while (trim && (text[at] === ' ' || text[at] === '\t') && text[at] !== delimiter) at++;
    return at;
  };
  const fields: string[] = [];
  for (let at = 0; ; at++) {
    const start = skipBlanks(at);
    if (text[start] === '"') {
      const quoted = readQuotes(text, start);
      if (quoted === undefined) return 'open';
      fields.push(quoted.field);
      at = skipBlanks(quoted.end);
      if (at < text.length && text[at] !== delimiter) return 'something follows a closing quote';
    } else {
      const found = text.indexOf(delimiter, at);
      const end = found === -1 ? text.length : found;
      const field = text.slice(at, end);
      if (field.includes('"')) return 'a quote stands inside a field that has none around it';
      fields.push(field);
      at = end;
    }
    if (at >= text.length) return fields;
  }
}

/** What the quotes that open at `start` hold, and the place behind them; undefined when they stay open. */
function readQuotes(
  text: string,
  start: number,
): { readonly field: string; readonly end: number } | undefined {
  let field = '';
  for (let from = start + 1; ; ) {
    const end = text.indexOf('"', from);
    if (end === -1) return undefined;
    field += text.slice(from, end);
    if (text[end + 1] !== '"') return { field, end: end + 1 };
    // Two quotes stand for one.
    field += '"';
    from = end + 2;
  }
}

function isBlank(line: string): boolean {
  return line === '' || line === '\r';
}

function withoutReturn(text: string): string {
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}
