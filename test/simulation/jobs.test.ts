import { createHash } from 'node:crypto';
import test from 'ava';
import { runJobScenario } from './job-scenario.ts';

const SEEDS = 60;

test.serial('submitted jobs end as they should, whichever host of theirs is lost', async (t) => {
  let resumed = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const report = await runJobScenario(seed);
    t.deepEqual(report.violations, [], `replay: npm run simulate -- --seed ${seed} --trace`);
    resumed += report.resumed;
  }
  t.true(resumed > SEEDS / 4, `only ${resumed} lives resumed a job`);
});

test.serial('a scenario of jobs replays byte for byte', async (t) => {
  const hash = async (seed: number): Promise<string> => {
    const sum = createHash('sha256');
    await runJobScenario(seed, (line) => sum.update(`${line}\n`));
    return sum.digest('hex');
  };
  for (const seed of [1, 30]) t.is(await hash(seed), await hash(seed));
});
