import test from 'ava';
import { murmurHash3 } from '../../../datasets/tables/murmur-hash.ts';

test("the hash gives the reference's values", (t) => {
  // From the vectors that implementations of MurmurHash3_x86_32 share.
  const vectors: readonly (readonly [string, number, number])[] = [
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['\0\0\0\0', 0, 0x2362f9de],
    ['aaaa', 0x9747b28c, 0x5a97808a],
    ['aaa', 0x9747b28c, 0x283e0130],
    ['aa', 0x9747b28c, 0x5d211726],
    ['a', 0x9747b28c, 0x7fa09ea6],
    ['abcd', 0x9747b28c, 0xf0478627],
    ['Hello, world!', 0x9747b28c, 0x24884cba],
    ['ππππππππ', 0x9747b28c, 0xd58063c1],
    ['The quick brown fox jumps over the lazy dog', 0x9747b28c, 0x2fa826cd],
  ];
  for (const [text, seed, hash] of vectors) t.is(murmurHash3(text, seed), hash, text);
});

test('long texts are hashed whole', (t) => {
  const long = 'x'.repeat(5000);
  t.not(murmurHash3(`${long}a`, 0), murmurHash3(`${long}b`, 0));
});
