import test from 'ava';
import * as v from 'valibot';
import { planRuns } from '../../../cli/study/planned-runs.ts';
import { describeComparison } from '../../../cli/study/reading.ts';
import type { RunFigures } from '../../../cli/study/run-figures.ts';
import { studies } from '../../../cli/study/studies.ts';
import { type Study, scales, studySchema } from '../../../cli/study/study.ts';
import { analyseStudy, type StudyRun } from '../../../cli/study/study-analysis.ts';

const study: Study = {
  name: 'trial',
  question: 'Which?',
  job: 'lm-codistill',
  options: {},
  full: {},
  arms: [
    { name: 'base', options: {} },
    { name: 'other', options: {} },
  ],
  baseline: 'base',
  targetArm: 'base',
  seeds: 3,
  measures: ['loss', 'stepsToTarget'],
  notes: [],
};

test('arms are compared seed by seed, over the seeds that both have', (t) => {
  const analysis = analyseStudy(study, [
    run('base', 1, { loss: 4 }),
    run('other', 1, { loss: 3.9 }),
    run('base', 2, { loss: 5 }),
    run('other', 2, { loss: 4.7 }),
    run('base', 3, { loss: 6 }),
    { arm: 'other', seed: 3, figures: undefined, failure: 'no' },
  ]);
  const [base, , other] = analysis.summaries;
  t.is(base?.estimate?.mean, 5);
  t.is(base?.against, undefined);
  t.is(other?.estimate?.count, 2);
  t.is(other?.against?.mean.toFixed(6), '-0.200000');
  // t(0.975, 1) = 12.706, the deviation of −0.1 and −0.3 is √0.02, so the reach is 1.2706.
  t.deepEqual(
    other?.against?.interval?.map((end) => end.toFixed(4)),
    ['-1.4706', '1.0706'],
  );
  t.regex(
    describeComparison(other!, base!),
    /, that is −4.00 % \[−29.41 %, \+21.41 %\], 2 seeds\. No difference is shown: the interval covers 0/,
  );
  const without = (count: number) =>
    describeComparison({ ...other!, against: { mean: 1, interval: null, count } }, base!);
  // Of two seeds there is one difference between models trained again.
  t.regex(without(2), /2 seeds\. Too few for an interval: they show no more than themselves\./);
  t.regex(without(1), /1 seed\. Too few for an interval: one seed shows no more than itself\./);
});

test('steps to the target are those to the final loss of the target arm with that seed; never is said', (t) => {
  const falling = [
    { step: 100, loss: 6 },
    { step: 200, loss: 4 },
  ];
  const analysis = analyseStudy(study, [
    run('base', 1, { loss: 5, curves: [falling] }),
    run('other', 1, {
      loss: 4,
      curves: [falling.map(({ step, loss }) => ({ step: step / 2, loss }))],
    }),
    run('base', 2, { loss: 4.5, curves: [falling] }),
    run('other', 2, { loss: 6, curves: [[{ step: 100, loss: 6 }]] }),
  ]);
  t.deepEqual(
    [...analysis.targetLosses],
    [
      [1, 5],
      [2, 4.5],
    ],
  );
  const [, base, , other] = analysis.summaries;
  t.is(base?.estimate?.mean, (150 + 175) / 2);
  t.is(other?.estimate?.mean, 75);
  t.is(other?.against?.mean, 0.5);
  t.is(other?.without, 1);
  t.regex(describeComparison(other!, base!), /1 of its 2 runs have no such figure/);
});

test('churn is over all pairs of retrainings, and compared as a ratio', (t) => {
  const predictions = (...ones: number[]): Partial<RunFigures> => ({
    served: {
      classes: 2,
      targets: undefined,
      probabilities: Float32Array.from(ones.flatMap((p) => [1 - p, p])),
    },
  });
  const analysis = analyseStudy({ ...study, targetArm: undefined, measures: ['churn', 'flips'] }, [
    run('base', 1, predictions(0.1, 0.2)),
    run('base', 2, predictions(0.3, 0.2)),
    run('base', 3, predictions(0.3, 0.6)),
    run('other', 1, predictions(0.4, 0.4)),
    run('other', 2, predictions(0.45, 0.4)),
    run('other', 3, predictions(0.45, 0.5)),
  ]);
  const [base, , other] = analysis.summaries;
  // 0.1, 0.3 and 0.2; 0.025, 0.075 and 0.05.
  t.is(base?.estimate?.mean.toFixed(6), '0.200000');
  t.is(other?.estimate?.mean.toFixed(6), '0.050000');
  t.is(other?.against?.mean.toFixed(6), '0.250000');
  // Each pair has that ratio, so leaving out a retraining changes nothing.
  t.deepEqual(
    other?.against?.interval?.map((end) => end.toFixed(4)),
    ['0.2500', '0.2500'],
  );
  const churnOf = (seed: number) =>
    analysis.rows.find((row) => row.arm === 'base' && row.seed === seed && row.measure === 'churn');
  t.is(churnOf(2)?.value?.toFixed(6), '0.150000');
});

test('an arm is chosen on half of the rows and judged on the other', (t) => {
  // Even rows choose, odd ones judge; a target of 1 in all four.
  const predictions = (...ones: number[]): Partial<RunFigures> => ({
    served: {
      classes: 2,
      targets: Int32Array.of(1, 1, 1, 1),
      probabilities: Float32Array.from(ones.flatMap((p) => [1 - p, p])),
    },
  });
  const arms = ['base', 'calm', 'wrong'].map((name) => ({ name, options: {} }));
  const among = ['calm', 'wrong'];
  const choosing = {
    ...study,
    arms,
    targetArm: undefined,
    measures: ['churn', 'servedLoss'] as const,
    choice: { among, least: 'churn', notAbove: 'servedLoss' } as const,
  };
  const runs = [
    run('base', 1, predictions(0.5, 0.5, 0.5, 0.5)),
    run('base', 2, predictions(0.7, 0.5, 0.7, 0.9)),
    run('calm', 1, predictions(0.7, 0.5, 0.7, 0.5)),
    run('calm', 2, predictions(0.8, 0.5, 0.8, 0.8)),
    // Never changes, and is wrong.
    run('wrong', 1, predictions(0.1, 0.9, 0.1, 0.9)),
    run('wrong', 2, predictions(0.1, 0.9, 0.1, 0.9)),
  ];
  const { chosen, summaries } = analyseStudy(choosing, runs);
  t.is(chosen?.arm, 'calm');
  // 0.1 against 0.2 on the rows that choose, 0.15 against 0.2 on those that judge.
  t.is(chosen?.least.against?.mean.toFixed(4), '0.5000');
  const judged = summaries.find(({ arm, measure }) => arm === 'calm' && measure === 'churn');
  t.is(judged?.against?.mean.toFixed(4), '0.7500');
  const none = analyseStudy(
    { ...choosing, choice: { ...choosing.choice, among: ['wrong'] } },
    runs,
  );
  t.is(none.chosen, undefined);
});

test('every study that comes along is one that a file could hold', (t) => {
  for (const known of studies) t.deepEqual(v.parse(studySchema, known), known);
});

for (const scale of scales) {
  test(`the jobs of all studies take their options at the scale ${scale}`, async (t) => {
    for (const known of studies) {
      const settings = { scale, arms: [], seeds: 2, set: [], data: [] };
      const runs = await planRuns(known, settings, { directory: '/nowhere', cwd: '/' });
      t.is(runs.length, 2 * known.arms.length, known.name);
    }
  });
}

function run(arm: string, seed: number, figures: Partial<RunFigures>): StudyRun {
  return {
    arm,
    seed,
    failure: undefined,
    figures: {
      loss: null,
      ensembleLoss: null,
      disagreement: null,
      exchangedBytes: null,
      deltaShare: null,
      served: null,
      curves: [],
      ...figures,
    },
  };
}
