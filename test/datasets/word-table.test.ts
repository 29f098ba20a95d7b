import test from 'ava';
import fc from 'fast-check';
import { WordTable } from '../../datasets/word-table.ts';

test('words are numbered in the order in which they first occur', (t) => {
  const table = new WordTable();
  const text = 'one two one';
  t.is(table.numberOf(text, 0, 3), 0);
  t.is(table.numberOf(text, 3, 7), 1);
  t.is(table.numberOf(text, 8, 11), 0);
  t.is(table.size, 2);
  t.deepEqual([table.wordAt(0), table.wordAt(1)], ['one', ' two']);
});

test('the table answers as a Map would, also when it has grown or was cleared', (t) => {
  const words = fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }));
  fc.assert(
    fc.property(words, fc.nat(30), (words, clearedAfter) => {
      const table = new WordTable();
      for (const word of words.slice(0, clearedAfter)) table.numberOf(word, 0, word.length);
      table.clear();
      t.is(table.size, 0);
      const numbers = words.map((word) => table.numberOf(`<${word}>`, 1, 1 + word.length));
      t.deepEqual(numbers, [...words.keys()]);
      t.deepEqual(
        numbers.map((number) => table.wordAt(number)),
        words,
      );
    }),
  );
});

test('very many words keep their numbers, though some have the same hash', (t) => {
  const table = new WordTable();
  const words = Array.from({ length: 300_000 }, (_, n) => `${(n * 7919).toString(36)}`);
  const numbers = words.map((word) => table.numberOf(word, 0, word.length));
  t.true(numbers.every((number, n) => number === n));
  t.is(table.wordAt(271_828), words[271_828]!);
  t.is(table.numberOf(words[31_415]!, 0, words[31_415]!.length), 31_415);
  t.is(table.size, 300_000);
});
