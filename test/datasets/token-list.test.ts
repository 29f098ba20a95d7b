import test from 'ava';
import { CHUNK_TOKENS, TokenList } from '../../datasets/token-list.ts';

test('tokens take two bytes up to a vocabulary of 65,536 and four beyond', (t) => {
  for (const [vocabularySize, bytes] of [
    [257, 2],
    [65_536, 2],
    [65_537, 4],
  ] as const) {
    const list = new TokenList(vocabularySize);
    list.append([vocabularySize - 1]);
    t.is(list.block(0, 1)[0], vocabularySize - 1);
    t.is(list.block(0, 1).BYTES_PER_ELEMENT, bytes);
  }
});

test('an empty list has no tokens', (t) => {
  const list = new TokenList(300);
  t.is(list.length, 0);
  list.append([]);
  t.is(list.length, 0);
});

test('blocks give all tokens in order, over the ends of chunks too', (t) => {
  const list = new TokenList(1000);
  const pieces = Array.from({ length: 999 }, (_, n) => n);
  const length = 999 * 1200;
  for (let i = 0; i < 1200; i++) list.append(pieces);
  t.true(length > CHUNK_TOKENS);
  t.is(list.length, length);
  let at = 0;
  let wrong = 0;
  for (let index = 0; index * 4096 < length; index++) {
    const block = list.block(index, 4096);
    t.is(block.length, Math.min(4096, length - at));
    for (const token of block) if (token !== at++ % 999) wrong++;
  }
  t.is(at, length);
  t.is(wrong, 0);
});

test('a list that ends with a chunk has its whole length', (t) => {
  const list = new TokenList(300);
  const pieces: number[] = new Array(1 << 12).fill(7);
  for (let i = 0; i < CHUNK_TOKENS; i += pieces.length) list.append(pieces);
  t.is(list.length, CHUNK_TOKENS);
  t.is(list.block(0, CHUNK_TOKENS).length, CHUNK_TOKENS);
  list.append([8]);
  t.is(list.length, CHUNK_TOKENS + 1);
  t.deepEqual([...list.block(1, CHUNK_TOKENS)], [8]);
});
