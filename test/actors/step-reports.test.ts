import test from 'ava';
import { StepReports } from '../../actors/step-reports.ts';
import type { StepReport } from '../../actors/training-totals.ts';

function report(step: number): StepReport {
  return {
    step,
    loss: 1 / step,
    distillLoss: null,
    gradientNorm: 1,
    stalenessSteps: null,
    rowsPerSecond: 1,
    bytesExchanged: 0,
  };
}

async function stepsOf(stream: AsyncIterable<StepReport>): Promise<number[]> {
  const steps: number[] = [];
  for await (const { step } of stream) steps.push(step);
  return steps;
}

test('a reader gets every report after its step, those of the past and those to come', async (t) => {
  const reports = new StepReports();
  for (const step of [1, 2, 3]) reports.push(report(step));
  const reading = stepsOf(reports.after(1));
  for (const step of [4, 5]) reports.push(report(step));
  reports.finish();
  t.deepEqual(await reading, [2, 3, 4, 5]);
});

test('a Trainer that came back to step 10 serves a reader of step 12 from there', async (t) => {
  const reports = new StepReports();
  const reading = stepsOf(reports.after(12));
  for (const step of [11, 12, 13, 14]) reports.push(report(step));
  reports.finish();
  t.deepEqual(await reading, [13, 14]);
});

test('steps taken again take the place of the first time, and a reader sees none twice', async (t) => {
  const reports = new StepReports();
  for (const step of [1, 2, 3, 4]) reports.push(report(step));
  const reading = stepsOf(reports.after(2));
  for (const step of [3, 4, 5]) reports.push(report(step));
  for (const step of [9, 10]) reports.push(report(step));
  reports.finish();
  t.deepEqual(await reading, [3, 4, 5, 9, 10]);
});

test('a reader who was away too long goes on with the oldest report that is kept', async (t) => {
  const reports = new StepReports();
  for (let step = 1; step <= 10_005; step++) reports.push(report(step));
  reports.finish();
  const steps = await stepsOf(reports.after(0));
  t.is(steps[0], 6);
  t.is(steps.length, 10_000);
});

test('a failure reaches the reader after the reports before it', async (t) => {
  const reports = new StepReports();
  reports.push(report(1));
  reports.fail(new Error('no more data'));
  const seen: number[] = [];
  await t.throwsAsync(
    async () => {
      for await (const { step } of reports.after(0)) seen.push(step);
    },
    { message: 'no more data' },
  );
  t.deepEqual(seen, [1]);
});
