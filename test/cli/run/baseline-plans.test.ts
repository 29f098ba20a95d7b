import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { checkJobOptions } from '../../../cli/jobs/job-options.ts';
import { readPlan } from '../../../cli/run/plan-file.ts';
import job from '../../../examples/lm-codistill.ts';
import type { JobExplanation } from '../../../runtime/index.ts';

const folder = fileURLToPath(new URL('../../../examples/plans/', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

async function explain(file: string): Promise<JobExplanation> {
  const { options } = await readPlan(file, folder);
  const checked = checkJobOptions(job as never, { ...options });
  return (await job.explain?.(checked as never, { nodes: 1, gflops: 60 })) as JobExplanation;
}

test('there is a plan for each baseline of the paper', (t) => {
  t.deepEqual(files, [
    'codistilled-same-data.json',
    'codistilled.json',
    'diloco.json',
    'doubled-batch.json',
    'independent.json',
    'one-group.json',
    'teacher-flop.json',
    'two-phase.json',
    'uniform-smoothing.json',
    'unigram-smoothing.json',
  ]);
});

for (const file of files) {
  test(`${file} can run`, async (t) => {
    const { tables } = await explain(file);
    t.true((tables[0]?.rows.length ?? 0) >= 1);
  });
}

test('the single model with the teacher’s work does as much as a student with a teacher', async (t) => {
  const workOf = ({ tables }: JobExplanation): number => {
    // Minutes, at one speed for all.
    return tables[0]?.rows[0]?.[6] as number;
  };
  const alone = workOf(await explain('teacher-flop.json'));
  const taught = workOf(await explain('codistilled.json'));
  t.true(Math.abs(alone / taught - 1) < 0.001, `${alone} and ${taught}`);
});

test('in two phases the student has the teacher, and the teacher nobody', async (t) => {
  const { tables } = await explain('two-phase.json');
  t.deepEqual(
    tables[0]?.rows.map((row) => row[3]),
    ['none', 'replica-1'],
  );
});
