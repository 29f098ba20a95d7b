import test from 'ava';
import fc from 'fast-check';
import { FIRST_MERGE, type Merge } from '../../datasets/tokenizer.ts';
import { trainTokenizer, WordCounts } from '../../datasets/tokenizer-training.ts';

const N = FIRST_MERGE;

test('the pair that occurs most is merged first, counted over all words', async (t) => {
  // low 5, lower 2, newest 6, widest 3: the example of Sennrich et al. (2016).
  const words: [string, number][] = [
    ['low', 5],
    ['lower', 2],
    ['newest', 6],
    ['widest', 3],
  ];
  // e-s and s-t occur 9 times each, and s-t then only inside es-t, 9 times too.
  t.deepEqual(await merges(words, 7), [
    ['e', 's'],
    ['es', 't'],
    ['l', 'o'], // 7, as often as o-w
    ['lo', 'w'],
    ['e', 'w'], // 6, as often as n-e and w-est
    ['n', 'ew'], // as often as ew-est, but n is a smaller piece
    ['new', 'est'],
  ]);
});

test('among equals the pair of the smaller pieces goes first, the left one deciding', async (t) => {
  const words: [string, number][] = [
    ['zb', 2],
    ['az', 2],
    ['ab', 2],
    ['za', 2],
  ];
  t.deepEqual(await merges(words, 4), [
    ['a', 'b'],
    ['a', 'z'],
    ['z', 'a'],
    ['z', 'b'],
  ]);
});

test('pairs that overlap count each, but join from the left', async (t) => {
  t.deepEqual(await merges([['aaaaa', 1]], 9), [
    ['a', 'a'], // 4 times
    // aa-aa-a: no pair occurs twice.
  ]);
});

test('a pair that occurs once is not merged', async (t) => {
  t.deepEqual(await merges([['abc', 1]], 9), []);
  t.deepEqual(await merges([], 9), []);
});

test('training stops at the size of vocabulary that was asked for', async (t) => {
  const tokenizer = await trainTokenizer([['abcdef', 5]], { vocabularySize: N + 3 });
  t.is(tokenizer.vocabularySize, N + 3);
});

test('the order of the words makes no difference', async (t) => {
  const words: [string, number][] = [
    ['banana', 3],
    ['bandana', 4],
    ['ananas', 3],
  ];
  t.deepEqual(await merges(words.toReversed(), 20), await merges(words, 20));
});

test('merges are those of a training that recounts all pairs each time', async (t) => {
  const word = fc.string({
    unit: fc.constantFrom('a', 'b', 'c', 'é'),
    minLength: 1,
    maxLength: 24,
  });
  const counted = fc.uniqueArray(fc.tuple(word, fc.integer({ min: 1, max: 4 })), {
    selector: ([text]) => text,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(counted, async (words) => {
      const { merges } = (await trainTokenizer(words, { vocabularySize: N + 40 })).toJSON();
      t.deepEqual(merges, recountedMerges(words, 40));
    }),
    { numRuns: 300 },
  );
});

test('word counts are those of all texts that were added', (t) => {
  const words = new WordCounts();
  words.add('a cat, a dog');
  words.add('a cat');
  t.deepEqual(Object.fromEntries(words), { a: 2, ' cat': 2, ',': 1, ' a': 1, ' dog': 1 });
});

test('many distinct words keep their counts', (t) => {
  const words = new WordCounts();
  const text = Array.from({ length: 30_000 }, (_, n) => wordOf(n)).join(' ');
  words.add(text);
  words.add(text);
  const counts = new Map(words);
  t.is(counts.size, 30_000);
  t.true([...counts.values()].every((count) => count === 2));
});

test('training ends when it is aborted and says how far it has come', async (t) => {
  const abort = new AbortController();
  const words = Array.from({ length: 40_000 }, (_, n) => [wordOf(n), 1] as const);
  const sizes: number[] = [];
  const training = trainTokenizer(words, {
    vocabularySize: 20_000,
    signal: abort.signal,
    onProgress(pieces) {
      sizes.push(pieces);
      abort.abort(new Error('enough'));
    },
  });
  await t.throwsAsync(training, { message: 'enough' });
  t.is(sizes.length, 1);
  t.true(sizes[0]! > N && sizes[0]! < 20_000);
});

/** A word of letters for each number, with parts that repeat. */
function wordOf(n: number): string {
  return n.toString(26).replace(/[0-9]/g, (digit) => 'qrstuvwxyz'[Number(digit)]!);
}

/** The merges learnt from `words`, as the texts that they join. */
async function merges(
  words: Iterable<readonly [string, number]>,
  count: number,
): Promise<string[][]> {
  const tokenizer = await trainTokenizer(words, { vocabularySize: N + count });
  return tokenizer.toJSON().merges.map((merge) => merge.map((piece) => tokenizer.decode([piece])));
}

/** Byte pair encoding as it is defined, without any index. */
function recountedMerges(words: readonly (readonly [string, number])[], count: number): Merge[] {
  const merges: Merge[] = [];
  let pieces = words.map(([word]) => [...Buffer.from(word)]);
  while (merges.length < count) {
    const pairs = new Map<string, { pair: Merge; count: number }>();
    for (const [index, word] of pieces.entries()) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = [word[i]!, word[i + 1]!] as const;
        const counted = pairs.get(pair.join()) ?? { pair, count: 0 };
        counted.count += words[index]![1];
        pairs.set(pair.join(), counted);
      }
    }
    const [best] = [...pairs.values()].sort(
      (x, y) => y.count - x.count || x.pair[0] - y.pair[0] || x.pair[1] - y.pair[1],
    );
    if (best === undefined || best.count < 2) break;
    const joined = N + merges.length;
    pieces = pieces.map((word) => join(word, best.pair, joined));
    merges.push(best.pair);
  }
  return merges;
}

function join(word: readonly number[], [left, right]: Merge, joined: number): number[] {
  const result: number[] = [];
  for (const piece of word) {
    if (piece === right && result.at(-1) === left) result[result.length - 1] = joined;
    else result.push(piece);
  }
  return result;
}
