import test from 'ava';
import fc from 'fast-check';
import { Series, smooth } from '../../../cli/report/series.ts';

test('a series keeps what it is given until it is full', (t) => {
  const series = new Series(4);
  for (const x of [1, 2, 3]) series.push(x, x * 10);
  t.deepEqual(series.points, [
    { x: 1, y: 10 },
    { x: 2, y: 20 },
    { x: 3, y: 30 },
  ]);
});

test('a full series joins neighbours, and goes on with means of as many values', (t) => {
  const series = new Series(4);
  for (const x of [1, 2, 3, 4, 5, 6]) series.push(x, x * 10);
  t.deepEqual(series.points, [
    { x: 2, y: 15 },
    { x: 4, y: 35 },
    { x: 6, y: 55 },
  ]);
});

test('a step that comes again replaces all from there on', (t) => {
  const series = new Series(100);
  for (const x of [1, 2, 3, 4]) series.push(x, 1);
  series.push(3, 2);
  t.deepEqual(series.points, [
    { x: 1, y: 1 },
    { x: 2, y: 1 },
    { x: 3, y: 2 },
  ]);
});

test('a series of any length stays within its bound, in order, and keeps its mean', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 50 }),
      fc.integer({ min: 1, max: 3000 }),
      (max, count) => {
        const series = new Series(max);
        for (let x = 1; x <= count; x++) series.push(x, 7);
        const { points } = series;
        const inOrder = points.every(({ x }, index) => index === 0 || x > points[index - 1]!.x);
        return points.length < max && inOrder && points.every(({ y }) => y === 7);
      },
    ),
    { seed: 1 },
  );
  t.pass();
});

test('smoothing is an exponential mean that starts at the first value', (t) => {
  const points = [4, 0, 0, 8].map((y, x) => ({ x, y }));
  t.deepEqual(
    smooth(points, 0.5).map(({ y }) => y),
    [4, 2, 1, 4.5],
  );
});
