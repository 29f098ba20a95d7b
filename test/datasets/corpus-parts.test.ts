import test from 'ava';
import fc from 'fast-check';
import { type CorpusParts, dealOut, unigramLoss } from '../../datasets/corpus-parts.ts';
import { TokenList } from '../../datasets/token-list.ts';

test('each token goes to one part, and blocks keep their order', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5000 }),
      fc.integer({ min: 1, max: 5 }),
      fc.double({ min: 0.01, max: 0.6, noNaN: true }),
      (count, replicas, heldOutFraction) => {
        const parts = dealOut(numbered(count), { replicas, heldOutFraction });
        t.is(parts.shards.length, replicas);
        const tokens = [parts.heldOut, ...parts.shards].map(tokensOf);
        for (const part of tokens) t.deepEqual(part, part.toSorted(ascending));
        t.deepEqual(tokens.flat().toSorted(ascending), range(count));
      },
    ),
    { numRuns: 200 },
  );
});

for (const heldOutFraction of [0.01, 0.05, 0.3, 0.45]) {
  test(`a share of ${heldOutFraction} is held out, and the shards are of one size`, (t) => {
    const { heldOut, shards } = dealOut(numbered(60_000), { replicas: 3, heldOutFraction });
    const share = tokensOf(heldOut).length / 60_000;
    t.true(Math.abs(share - heldOutFraction) < 0.1 * heldOutFraction, `${share}`);
    for (const shard of shards) {
      const ofEqual = tokensOf(shard).length / ((60_000 * (1 - share)) / 3);
      t.true(ofEqual > 0.95 && ofEqual < 1.05, `${ofEqual}`);
    }
  });
}

test('every part is drawn from all of the text', (t) => {
  const { heldOut, shards } = dealOut(numbered(60_000), { replicas: 2, heldOutFraction: 0.05 });
  for (const part of [heldOut, ...shards]) {
    const quarters = new Set(tokensOf(part).map((token) => Math.floor(token / 15_000)));
    t.is(quarters.size, 4);
  }
});

test('the unigram loss of a case worked by hand', (t) => {
  // Of the shards' 5 tokens and one more for each of 3 pieces: 0 has 4, 1 has 3 and 2 has 1 of 8.
  const parts: CorpusParts = {
    shards: [[Uint16Array.of(0, 0, 1)], [Uint16Array.of(0), Uint16Array.of(1)]],
    heldOut: [Uint16Array.of(0, 2), Uint16Array.of(1)],
  };
  const expected = (Math.log(8 / 4) + Math.log(8 / 1) + Math.log(8 / 3)) / 3;
  t.true(Math.abs(unigramLoss(parts, 3) - expected) < 1e-12);
});

test('the unigram loss of evenly spread pieces is the logarithm of their number', (t) => {
  const parts = { shards: [[Uint16Array.from(range(64))]], heldOut: [Uint16Array.of(5, 9)] };
  t.true(Math.abs(unigramLoss(parts, 64) - Math.log(64)) < 1e-12);
});

/** 0, 1, 2 and so on, each a token. */
function numbered(count: number): TokenList {
  const tokens = new TokenList(65_536);
  tokens.append(range(count));
  return tokens;
}

function range(count: number): number[] {
  return [...new Array(count).keys()];
}

function tokensOf(blocks: CorpusParts['heldOut']): number[] {
  return blocks.flatMap((block) => [...block]);
}

function ascending(a: number, b: number): number {
  return a - b;
}
