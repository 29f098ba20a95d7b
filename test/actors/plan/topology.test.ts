import test from 'ava';
import { teachersOf } from '../../../actors/plan/topology.ts';

test('all teach all others', (t) => {
  t.deepEqual(teachersOf('all', 3), [
    [1, 2],
    [0, 2],
    [0, 1],
  ]);
});

test('in a ring each has the one before as its teacher', (t) => {
  t.deepEqual(teachersOf('ring', 4), [[3], [0], [1], [2]]);
});

test('what one replica knows goes round a ring: after three exchanges its share is with the fourth', (t) => {
  // Each takes on half of its teacher's value at an exchange, all at once: a case small enough to follow.
  const teachers = teachersOf('ring', 4);
  let values = [1, 0, 0, 0];
  for (let exchange = 0; exchange < 3; exchange++) {
    values = values.map((own, index) => (own + values[teachers[index]![0]!]!) / 2);
  }
  // Binomial: (1 + s)³ / 8 for the shift s by one place.
  t.deepEqual(values, [1 / 8, 3 / 8, 3 / 8, 1 / 8]);
});

test('pairs teach each other, and the last of an odd number is alone', (t) => {
  t.deepEqual(teachersOf('pairs', 5), [[1], [0], [3], [2], []]);
});

test('a replica has no teachers when it is alone or the topology is none', (t) => {
  for (const topology of ['all', 'ring', 'pairs', 'none'] as const) {
    t.deepEqual(teachersOf(topology, 1), [[]]);
  }
  t.deepEqual(teachersOf('none', 2), [[], []]);
});

test('a custom graph names students and teachers from 1 on', (t) => {
  t.deepEqual(teachersOf('custom', 3, { '3': [1, 2], '2': [1] }), [[], [0], [0, 1]]);
});
