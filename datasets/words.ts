/** What a character may share a word with. */
const NEWLINE = 1;
const SPACE = 2;
const DIGIT = 3;
const LETTER = 4;
const SYMBOL = 5;
type CharacterClass = typeof NEWLINE | typeof SPACE | typeof DIGIT | typeof LETTER | typeof SYMBOL;

/** Learning and applying merges takes time that grows with the square of a word's length. */
export const WORD_CHARACTERS_MAX = 64;
/** As in other tokenizers: long numbers come apart the same way everywhere. */
const DIGITS_MAX = 3;
const BLANK = 0x20;

/**
 * Calls `take` with the bounds of each word of `text`, in order and without gaps. No piece crosses
 * a word's bounds. A word is letters, up to three digits or symbols, each with the blank before it;
 * or a run of line ends; or a run of other white space, which leaves its last blank to the word
 * that follows.
 */
export function eachWord(text: string, take: (start: number, end: number) => void): void {
  for (let start = 0; start < text.length; ) {
    const end = wordEnd(text, start);
    take(start, end);
    start = end;
  }
}

function wordEnd(text: string, start: number): number {
  const first = classAt(text, start);
  if (first !== SPACE) return runEnd(text, start, start, first);
  const next = start + 1 < text.length ? classAt(text, start + 1) : SPACE;
  if (text.charCodeAt(start) === BLANK && next > SPACE) {
    return runEnd(text, start, start + 1, next);
  }
  const end = runEnd(text, start, start, SPACE);
  const wordFollows = end < text.length && classAt(text, end) > SPACE;
  const leavesBlank = wordFollows && end - start > 1 && text.charCodeAt(end - 1) === BLANK;
  return leavesBlank ? end - 1 : end;
}

/** The end of the run of one class at `from`, in a word that begins at `start`. */
function runEnd(text: string, start: number, from: number, runClass: CharacterClass): number {
  const limit =
    runClass === DIGIT
      ? Math.min(text.length, from + DIGITS_MAX)
      : Math.min(text.length, start + WORD_CHARACTERS_MAX);
  let end = from + 1;
  while (end < limit && classAt(text, end) === runClass) end++;
  // A pair of surrogates is one character: half of it has no UTF-8 form.
  const splitsPair =
    end < text.length && isHighSurrogate(text.charCodeAt(end - 1)) && end - start > 1;
  return splitsPair && end === limit ? end - 1 : end;
}

function isHighSurrogate(code: number): boolean {
  return (code & 0xfc00) === 0xd800;
}

/** Classes of UTF-16 code units, filled as they occur; 0 is not known yet. */
const classes = new Uint8Array(1 << 16);

function classAt(text: string, at: number): CharacterClass {
  const code = text.charCodeAt(at);
  const known = classes[code] as CharacterClass | 0;
  if (known !== 0) return known;
  const found = classify(String.fromCharCode(code));
  classes[code] = found;
  return found;
}

/** Half a pair of surrogates counts as a symbol: most of these characters are. */
function classify(character: string): CharacterClass {
  if (character === '\n') return NEWLINE;
  if (/\s/.test(character)) return SPACE;
  if (/\p{N}/u.test(character)) return DIGIT;
  if (/[\p{L}\p{M}]/u.test(character)) return LETTER;
  return SYMBOL;
}
