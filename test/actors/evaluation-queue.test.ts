import test from 'ava';
import { EvaluationQueue } from '../../actors/evaluation-queue.ts';
import type { Evaluation } from '../../actors/evaluator.ts';

function openQueue(lost: ReadonlySet<number> = new Set()) {
  const evaluated: number[] = [];
  const skips: number[] = [];
  const failures: string[] = [];
  const gate = Promise.withResolvers<void>();
  const queue = new EvaluationQueue({
    intervalSteps: 10,
    versionsAt: (step) => [step, null],
    evaluate: async ([step = null]) => {
      await gate.promise;
      if (step === 70) throw new Error('no memory');
      if (step === null || lost.has(step)) return null;
      return { versions: [step] } as unknown as Evaluation;
    },
    onEvaluation: ({ versions }) => evaluated.push(...versions),
    onFailure: (step, error) => failures.push(`${step}: ${(error as Error).message}`),
    onFirstSkip: (step) => skips.push(step),
  });
  return { queue, evaluated, skips, failures, open: () => gate.resolve() };
}

test('each step that is due is evaluated once, in order, however the replicas report', async (t) => {
  const { queue, evaluated, failures, open } = openQueue();
  open();
  for (const step of [1, 9, 10, 10, 11, 35, 35, 69, 70, 71, 80]) queue.reached(step);
  await queue.settled();
  t.deepEqual(evaluated, [10, 20, 30, 40, 50, 60, 80]);
  t.deepEqual(failures, ['70: no memory']);
  t.deepEqual(queue.totals, { done: 7, skipped: 1 });
});

test('a run that is resumed begins with the first step of its own life', async (t) => {
  const { queue, evaluated, open } = openQueue();
  open();
  for (const step of [30, 31, 41]) queue.reached(step);
  await queue.settled();
  t.deepEqual(evaluated, [30, 40]);
});

test('training that goes back is evaluated again', async (t) => {
  const { queue, evaluated, open } = openQueue();
  open();
  for (const step of [1, 20, 26, 16, 20, 30]) queue.reached(step);
  await queue.settled();
  t.deepEqual(evaluated, [10, 20, 20, 30]);
});

test('what waits is bounded, and what is left out is counted', async (t) => {
  const { queue, evaluated, skips, open } = openQueue(new Set([20]));
  for (let step = 1; step <= 200; step++) queue.reached(step);
  open();
  await queue.settled();
  // Of 16 that may wait one was lost and one failed; four more came too many.
  t.deepEqual(evaluated, [10, 30, 40, 50, 60, 80, 90, 100, 110, 120, 130, 140, 150, 160]);
  t.deepEqual(queue.totals, { done: 14, skipped: 6 });
  t.deepEqual(skips, [170]);
});
