import test from 'ava';
import fc from 'fast-check';
import { SequenceMap } from '../../../runtime/calls/sequence-map.ts';

/** Far apart, so that many want the same place, and over what 32 bits hold. */
const number = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 40 }).map((n) => n * 1024),
  fc.integer({ min: 0, max: 40 }).map((n) => 2 ** 40 + n * 64),
);
const step = fc.record({ act: fc.constantFrom('set', 'set', 'delete', 'get', 'clear'), number });

test('sequence map holds what a Map would, whatever comes and goes', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const map = new SequenceMap<string>();
      const expected = new Map<number, string>();
      for (const [index, { act, number }] of steps.entries()) {
        if (act === 'set') {
          map.set(number, `${index}`);
          expected.set(number, `${index}`);
        } else if (act === 'delete') {
          if (map.delete(number) !== expected.delete(number)) return false;
        } else if (act === 'clear' && index % 50 === 0) {
          map.clear();
          expected.clear();
        }
        if (map.get(number) !== expected.get(number)) return false;
        if (map.has(number) !== expected.has(number) || map.size !== expected.size) return false;
      }
      const inOrder = [...expected].sort(([a], [b]) => a - b).map(([, value]) => value);
      return JSON.stringify(map.valuesInOrder()) === JSON.stringify(inOrder);
    }),
    { numRuns: 300, seed: 1 },
  );
  t.pass();
});

test('sequence map finds the one that stays behind while a hundred thousand go by', (t) => {
  const map = new SequenceMap<number>();
  map.set(7, 7);
  let ended = 0;
  for (let seq = 8; seq < 100_000; seq += 1) {
    map.set(seq, seq);
    if (seq >= 264 && map.delete(seq - 256)) ended += 1;
  }
  t.is(ended, 100_000 - 264);
  t.is(map.get(7), 7);
  t.is(map.size, 257);
  t.deepEqual(map.valuesInOrder().slice(0, 2), [7, 100_000 - 256]);
});
