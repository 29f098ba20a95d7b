import test from 'ava';
import { runSplitScenario } from './split-scenario.ts';

const SEEDS = 60;

test.serial(
  'nothing that a detached actor saved is lost when its supervisor is split off',
  async (t) => {
    let adopted = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const report = await runSplitScenario(seed);
      t.deepEqual(report.violations, [], `replay: npm run simulate -- --seed ${seed} --trace`);
      if (report.adopted) adopted += 1;
    }
    t.true(adopted > SEEDS / 4, `only ${adopted} were adopted while the split lasted`);
  },
);
