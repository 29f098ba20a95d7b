import { createHash } from 'node:crypto';
import test from 'ava';
import { runScenario } from './scenario.ts';

const SEEDS = 300;
const SEEDS_PER_TEST = 50;

for (let first = 1; first <= SEEDS; first += SEEDS_PER_TEST) {
  const last = first + SEEDS_PER_TEST - 1;
  test.serial(`every promise holds under the faults of seeds ${first} to ${last}`, async (t) => {
    let answered = 0;
    for (let seed = first; seed <= last; seed += 1) {
      const { violations, calls } = await runScenario(seed);
      t.deepEqual(violations, [], `replay: npm run simulate -- --seed ${seed} --trace`);
      answered += calls.answered;
    }
    t.true(answered > 1_000, `only ${answered} calls were answered`);
  });
}

test.serial('a scenario replays byte for byte', async (t) => {
  const hash = async (seed: number): Promise<string> => {
    const sum = createHash('sha256');
    const { events } = await runScenario(seed, (line) => sum.update(`${line}\n`));
    return `${events} ${sum.digest('hex')}`;
  };
  for (const seed of [1, 60, 2540]) t.is(await hash(seed), await hash(seed));
});
