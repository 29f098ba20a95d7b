import test from 'ava';
import fc from 'fast-check';
import { END_OF_DOCUMENT, FIRST_MERGE, type Merge, Tokenizer } from '../../datasets/tokenizer.ts';
import { trainTokenizer, WordCounts } from '../../datasets/tokenizer-training.ts';
import { DamagedDataError } from '../../errors.ts';

const [a, b, c] = Buffer.from('abc') as unknown as [number, number, number];
const blank = 32;
const ab = FIRST_MERGE;

test('the earliest merge that fits goes first, wherever it fits', (t) => {
  const abc = FIRST_MERGE + 1;
  const bc = FIRST_MERGE + 2;
  const tokenizer = new Tokenizer([
    [a, b],
    [ab, c],
    [b, c],
  ]);
  t.deepEqual(tokenizer.encode('abc'), [abc]);
  t.deepEqual(tokenizer.encode('bcabcab'), [bc, abc, ab]);
  t.deepEqual(tokenizer.encode('acb'), [a, c, b]);
});

test('a pair of equal pieces is merged from the left', (t) => {
  const tokenizer = new Tokenizer([[a, a]]);
  t.deepEqual(tokenizer.encode('aaaaa'), [FIRST_MERGE, FIRST_MERGE, a]);
});

test('merges do not cross words', (t) => {
  const blankA = FIRST_MERGE + 1;
  const tokenizer = new Tokenizer([
    [b, blank],
    [blank, a],
  ]);
  t.deepEqual(tokenizer.encode('ab ab'), [a, b, blankA, b]);
});

test('without merges the pieces are the bytes', (t) => {
  t.deepEqual(new Tokenizer([]).encode('né🎲'), [...Buffer.from('né🎲')]);
  t.is(new Tokenizer([]).vocabularySize, FIRST_MERGE);
});

test('any well-formed text decodes to itself', async (t) => {
  const tokenizer = await trained('Das ist 1 naïve Straße, und das ist 12 Straßen 🎲🎲 weit.\n\n');
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.lorem()), (text) => {
      const pieces = tokenizer.encode(text);
      t.true(pieces.every((piece) => piece >= 0 && piece < tokenizer.vocabularySize));
      t.is(tokenizer.decode(pieces), text);
    }),
    { numRuns: 500 },
  );
});

test('a text has the same code whatever was encoded before it', async (t) => {
  const text = 'the cat sat on the mat, the other cat did not. ';
  const tokenizer = await trained(text);
  const fresh = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
  // More words than are remembered, so that the first ones are forgotten.
  for (let n = 0; n < 110_000; n++) fresh.encode(lettersOf(n));
  t.deepEqual(fresh.encode(text), tokenizer.encode(text));
});

test('words come one after the other', (t) => {
  const words: (readonly number[])[] = [];
  new Tokenizer([[a, b]]).encodeWords('ab c', (pieces) => words.push([...pieces]));
  t.deepEqual(words, [[ab], [blank, c]]);
});

test('a piece torn out of a character decodes to a replacement character', (t) => {
  const [first] = new Tokenizer([]).encode('é');
  t.is(new Tokenizer([]).decode([first!, a]), '\uFFFDa');
});

test('the end of a document decodes to nothing', (t) => {
  t.is(new Tokenizer([]).decode([a, END_OF_DOCUMENT, b]), 'ab');
});

test('a piece that is not in the vocabulary is refused', (t) => {
  t.throws(() => new Tokenizer([[a, b]]).decode([FIRST_MERGE + 1]), { instanceOf: RangeError });
});

test('a tokenizer comes back from its file with the same code', async (t) => {
  const text = 'low lower lowest, new newer newest';
  const tokenizer = await trained(text);
  const again = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
  t.is(again.vocabularySize, tokenizer.vocabularySize);
  t.deepEqual(again.encode(text), tokenizer.encode(text));
});

const valid = new Tokenizer([[a, b]]).toJSON();
for (const [what, file] of [
  ['is no object', 'text'],
  ['is null', null],
  ['has another format', { ...valid, format: 'something-else' }],
  ['has another version', { ...valid, version: 2 }],
  ['has no merges', { ...valid, merges: undefined }],
  ['has a merge of three', { ...valid, merges: [[a, b, c]] }],
  ['has a merge of one', { ...valid, merges: [[a]] }],
  ['has half a piece', { ...valid, merges: [[a, 98.5]] }],
  ['has a negative piece', { ...valid, merges: [[a, -1]] }],
  [
    'merges a piece that is made later',
    {
      ...valid,
      merges: [
        [a, ab + 1],
        [a, b],
      ],
    },
  ],
  ['merges a piece with itself before it is made', { ...valid, merges: [[a, ab]] }],
  ['merges the end of a document', { ...valid, merges: [[a, END_OF_DOCUMENT]] }],
  ['makes pieces longer than any word', { ...valid, merges: doublings(20) }],
] as const) {
  test(`a tokenizer file that ${what} is refused`, (t) => {
    t.throws(() => Tokenizer.fromJSON(file), { instanceOf: DamagedDataError });
  });
}

/** A word of letters alone, so that it stays one, for each number. */
function lettersOf(n: number): string {
  return n.toString(36).replace(/\d/g, (digit) => 'ABCDEFGHIJ'[Number(digit)]!);
}

/** Merges of which each makes a piece twice as long as the last. */
function doublings(count: number): Merge[] {
  return Array.from({ length: count }, (_, n) => {
    const piece = n === 0 ? a : FIRST_MERGE + n - 1;
    return [piece, piece];
  });
}

async function trained(text: string): Promise<Tokenizer> {
  const words = new WordCounts();
  words.add(text.repeat(3));
  return await trainTokenizer(words, { vocabularySize: 300 });
}
