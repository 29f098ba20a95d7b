import * as v from 'valibot';
import { UserInputError } from '../errors.ts';
import type { TextPiece } from './text-sources.ts';

/** A line is held whole to be parsed; no book is so long. */
const LINE_CHARACTERS_MAX = 16 << 20;

const document = v.union([
  v.pipe(
    v.object({ text: v.string() }),
    v.transform(({ text }) => text),
  ),
  v.pipe(
    v.object({ content: v.string() }),
    v.transform(({ content }) => content),
  ),
]);

/**
 * The documents in the lines of a JSON Lines file, blank lines left out.
 * @throws UserInputError that names the line that is no object with text.
 */
export async function* jsonLinesDocuments(
  path: string,
  pieces: AsyncIterable<TextPiece>,
): AsyncGenerator<TextPiece> {
  let lineNumber = 0;
  let parts: string[] = [];
  let length = 0;
  for await (const piece of pieces) {
    const lines = piece.text.split('\n');
    for (const [index, part] of lines.entries()) {
      parts.push(part);
      length += part.length;
      if (length > LINE_CHARACTERS_MAX) {
        throw new UserInputError(
          `${path}, line ${lineNumber + 1}, has over ${LINE_CHARACTERS_MAX} characters: split it`,
        );
      }
      // The last part may go on in the next piece.
      if (index === lines.length - 1 && !piece.last) break;
      const line = parts.join('');
      parts = [];
      length = 0;
      lineNumber++;
      if (line.trim() === '') continue;
      const text = documentText(path, line, lineNumber);
      yield { text, last: true, bytesRead: piece.bytesRead };
    }
  }
}

function documentText(path: string, line: string, lineNumber: number): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new UserInputError(
      `${path}, line ${lineNumber}, is not JSON: ${(cause as Error).message}`,
      { cause },
    );
  }
  const parsed = v.safeParse(document, value);
  if (parsed.success) return parsed.output.toWellFormed().replaceAll('\r\n', '\n');
  throw new UserInputError(
    `${path}, line ${lineNumber}, has no text: ` +
      'each line is an object with a string "text" or "content"',
  );
}
