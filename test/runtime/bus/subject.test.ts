import test from 'ava';
import fc from 'fast-check';
import { SubjectIndex } from '../../../runtime/bus/subject.ts';

const word = fc.constantFrom('a', 'b', 'c');
const subject = fc.array(word, { minLength: 1, maxLength: 4 });
const pattern = fc
  .tuple(fc.array(fc.oneof(word, fc.constant('*')), { maxLength: 4 }), fc.boolean())
  .map(([words, open]) => (open || words.length === 0 ? [...words, '>'] : words));

/** The rule, word by word: what the index must agree with. */
function matches(words: readonly string[], subjectWords: readonly string[]): boolean {
  if (words.at(-1) === '>') {
    const head = words.slice(0, -1);
    return subjectWords.length > head.length && matches(head, subjectWords.slice(0, head.length));
  }
  if (words.length !== subjectWords.length) return false;
  return words.every((part, i) => part === '*' || part === subjectWords[i]);
}

test('the index finds just the patterns that match, also after some are removed', (t) => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 20 }), fc.array(subject), (patterns, subjects) => {
      const index = new SubjectIndex<number>();
      for (const [i, words] of patterns.entries()) index.add(words.join('.'), i);
      for (const [i, words] of patterns.entries())
        if (i % 3 === 0) index.delete(words.join('.'), i);
      for (const words of subjects) {
        const expected = [...patterns.keys()].filter(
          (i) => i % 3 !== 0 && matches(patterns[i]!, words),
        );
        const found = index.match(words.join('.')).toSorted((a, b) => a - b);
        t.deepEqual(found, expected);
      }
    }),
    { numRuns: 300 },
  );
});

test('an entry that was never added, or is removed twice, changes nothing', (t) => {
  const index = new SubjectIndex<string>();
  index.add('a.*', 'one');
  for (const pattern of ['a.*', 'a.*.b', 'a.b', '>']) index.delete(pattern, 'other');
  t.deepEqual(index.match('a.b'), ['one']);
  index.delete('a.*', 'one');
  index.delete('a.*', 'one');
  t.deepEqual(index.match('a.b'), []);
});
