import test from 'ava';
import fc from 'fast-check';
import { eachWord, WORD_CHARACTERS_MAX } from '../../datasets/words.ts';

test('a word is letters, up to three digits or symbols, with the blank before it', (t) => {
  const text = "It's 12345 o'clock: naïve élan, x+=1;";
  t.deepEqual(wordsOf(text), [
    ...['It', "'", 's', ' 123', '45', ' o', "'", 'clock', ':'],
    ...[' naïve', ' élan', ',', ' x', '+=', '1', ';'],
  ]);
});

test('a run of blanks leaves its last one to the word that follows', (t) => {
  t.deepEqual(wordsOf('if:\n    return 1  \n\n\nend'), [
    ...['if', ':', '\n', '   ', ' return', ' 1', '  ', '\n\n\n', 'end'],
  ]);
});

test('a tab stays out of the word that follows', (t) => {
  t.deepEqual(wordsOf('a\tb \t c'), ['a', '\t', 'b', ' \t', ' c']);
});

test('letters of other scripts and combining marks make words', (t) => {
  t.deepEqual(wordsOf('наука и техника, 電卓 नमस्ते'), [
    ...['наука', ' и', ' техника', ',', ' 電卓', ' नमस्ते'],
  ]);
});

test('a word without end comes in parts that tear no character', (t) => {
  const text = `${'a'.repeat(150)} x${'🎲'.repeat(100)} ${'🎲'.repeat(100)}`;
  const words = wordsOf(text);
  t.true(words.every((word) => word.length <= WORD_CHARACTERS_MAX));
  t.true(words.every((word) => word.isWellFormed()));
  t.is(words.join(''), text);
});

test('the words of any well-formed text are not empty and make up the text', (t) => {
  const spaced = fc.string({ unit: fc.constantFrom(...'ab1 \n\t\r-é🎲\u0301') });
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), spaced, longRuns()), (text) => {
      const words = wordsOf(text);
      t.true(words.every((word) => word.length > 0 && word.length <= WORD_CHARACTERS_MAX));
      t.true(words.every((word) => word.isWellFormed()));
      t.is(words.join(''), text);
    }),
    { numRuns: 500 },
  );
});

/** Texts in which words reach their bound. */
function longRuns(): fc.Arbitrary<string> {
  const run = fc
    .tuple(fc.constantFrom('a', '7', ' ', '\n', '🎲', 'é'), fc.integer({ min: 1, max: 140 }))
    .map(([character, count]) => character.repeat(count));
  return fc.array(run, { maxLength: 6 }).map((runs) => runs.join(''));
}

function wordsOf(text: string): string[] {
  const words: string[] = [];
  eachWord(text, (start, end) => words.push(text.slice(start, end)));
  return words;
}
