import { createHash } from 'node:crypto';
import test from 'ava';
import { runObjectScenario } from './objects-scenario.ts';

const SEEDS = 30;

test.serial(
  'no object is lost that somebody holds, and none stays that nobody holds',
  async (t) => {
    const sums = { reads: 0, lost: 0, crashes: 0 };
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { violations, reads, lost, crashes } = await runObjectScenario(seed);
      t.deepEqual(violations, [], `seed ${seed}`);
      sums.reads += reads;
      sums.lost += lost;
      sums.crashes += crashes;
    }
    t.true(sums.reads > 300 && sums.lost > 3 && sums.crashes > 50, JSON.stringify(sums));
  },
);

test.serial('a scenario of objects replays byte for byte', async (t) => {
  const hash = async (seed: number): Promise<string> => {
    const sum = createHash('sha256');
    await runObjectScenario(seed, (line) => sum.update(`${line}\n`));
    return sum.digest('hex');
  };
  for (const seed of [1, 7]) t.is(await hash(seed), await hash(seed));
});
