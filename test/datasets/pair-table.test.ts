import test from 'ava';
import fc from 'fast-check';
import { PairTable } from '../../datasets/pair-table.ts';

test('pairs keep their numbers while the table grows', (t) => {
  const table = new PairTable();
  for (let left = 0; left < 300; left++) {
    for (let right = 0; right < 100; right++) table.set(left, right, left * 100 + right);
  }
  for (let left = 0; left < 300; left++) {
    for (let right = 0; right < 100; right++) {
      if (table.get(left, right) !== left * 100 + right) t.fail(`${left}, ${right} is lost`);
    }
  }
  t.is(table.get(300, 0), -1);
  t.is(table.get(0, 100), -1);
});

test('the table answers as a Map would', (t) => {
  const piece = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 1 << 20 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, piece, fc.nat())), (entries) => {
      const table = new PairTable();
      const map = new Map<string, number>();
      for (const [left, right, value] of entries) {
        t.is(table.get(left, right), map.get(`${left} ${right}`) ?? -1);
        table.set(left, right, value);
        map.set(`${left} ${right}`, value);
        t.is(table.get(left, right), value);
      }
    }),
  );
});
