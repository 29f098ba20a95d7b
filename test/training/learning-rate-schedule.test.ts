import test from 'ava';
import { learningRateAt } from '../../training/learning-rate-schedule.ts';

const cosine = { kind: 'cosine', peak: 0.01, warmupSteps: 10, steps: 110 } as const;

test('the rate grows linearly during warm-up and reaches the peak with its last step', (t) => {
  t.is(learningRateAt(cosine, 0), 0.001);
  t.is(learningRateAt(cosine, 4), 0.005);
  t.is(learningRateAt(cosine, 9), 0.01);
});

test('a cosine goes through the middle of peak and a tenth of it, and ends at the tenth', (t) => {
  t.true(Math.abs(learningRateAt(cosine, 10) - 0.01) < 1e-12);
  t.true(Math.abs(learningRateAt(cosine, 60) - 0.0055) < 1e-12);
  t.true(Math.abs(learningRateAt(cosine, 110) - 0.001) < 1e-12);
  t.true(Math.abs(learningRateAt(cosine, 500) - 0.001) < 1e-12);
});

test('a constant rate stays at its peak after warm-up', (t) => {
  const constant = { ...cosine, kind: 'constant' } as const;
  t.is(learningRateAt(constant, 10), 0.01);
  t.is(learningRateAt(constant, 100_000), 0.01);
});
