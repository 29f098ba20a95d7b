import test from 'ava';
import {
  estimateMean,
  estimateRatio,
  jackknife,
  meanOf,
  stepsToTarget,
  studentQuantile,
} from '../../../cli/study/statistics.ts';

test("Student's quantiles are those of the printed tables", (t) => {
  const table: readonly (readonly [share: number, degrees: number, quantile: number])[] = [
    [0.975, 1, 12.706],
    [0.975, 2, 4.303],
    [0.975, 3, 3.182],
    [0.975, 4, 2.776],
    [0.975, 9, 2.262],
    [0.975, 10, 2.228],
    [0.975, 30, 2.042],
    [0.975, 120, 1.98],
    [0.95, 5, 2.015],
    [0.995, 7, 3.499],
    [0.9995, 1, 636.619],
    [0.5, 4, 0],
  ];
  for (const [share, degrees, quantile] of table) {
    t.is(Number(studentQuantile(share, degrees).toFixed(3)), quantile, `${share} of ${degrees}`);
  }
});

test('an interval is the mean with the quantile times the standard error', (t) => {
  // The deviation of 1 … 5 is √2.5, its standard error √0.5, and t(0.975, 4) is 2.776.
  const { mean, interval, count } = estimateMean([1, 2, 3, 4, 5]);
  t.is(mean, 3);
  t.is(count, 5);
  t.deepEqual(
    interval?.map((end) => Number(end.toFixed(3))),
    [1.037, 4.963],
  );
});

test("paired differences: Student's own example of 1908, hours of sleep gained by two drugs", (t) => {
  const first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2];
  const second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
  const { mean, interval } = estimateMean(second.map((value, index) => value - first[index]!));
  t.is(Number(mean.toFixed(2)), 1.58);
  t.deepEqual(
    interval?.map((end) => Number(end.toFixed(4))),
    [0.7001, 2.4599],
  );
});

test('one value has no interval, none has no mean', (t) => {
  t.deepEqual(estimateMean([4]), { mean: 4, interval: null, count: 1 });
  t.throws(() => estimateMean([]), { instanceOf: RangeError });
});

test('the mean of ratios is geometric', (t) => {
  const { mean, interval } = estimateRatio([0.5, 2]);
  t.is(mean, 1);
  t.is(Number((interval![0] * interval![1]).toFixed(9)), 1);
});

test('the jackknife of a mean is its ordinary interval', (t) => {
  const values = [3, 1, 4, 1, 5];
  const known = estimateMean(values);
  const { mean, interval } = jackknife(5, (kept) => meanOf(kept.map((index) => values[index]!)));
  t.is(mean, known.mean);
  for (const end of [0, 1] as const) {
    t.true(Math.abs(interval![end] - known.interval![end]) < 1e-12);
  }
  t.is(jackknife(2, () => 7).interval, null);
});

test('steps to a target lie on the line between two points of the curve', (t) => {
  const curve = [
    { step: 100, loss: 5 },
    { step: 200, loss: 4 },
    { step: 300, loss: 4.5 },
    { step: 400, loss: 3 },
  ];
  t.is(stepsToTarget(curve, 4.25), 175);
  t.is(stepsToTarget(curve, 4), 200);
  t.is(stepsToTarget(curve, 3.75), 350);
  t.is(stepsToTarget(curve, 6), 100);
  t.is(stepsToTarget(curve, 2.9), null);
});
