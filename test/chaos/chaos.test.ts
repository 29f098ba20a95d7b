import { randomInt } from 'node:crypto';
import test from 'ava';
import { runChaos } from './chaos-run.ts';

test('calls keep their promises while servers and hosts of a cluster fail', async (t) => {
  const seed = randomInt(1_000_000);
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const report = await runChaos({ seed, durationMs: 14_000, atOnce: 2, log });
  const { findings, ...figures } = report;
  t.deepEqual(findings, [], `npm run chaos -- --seed ${seed}\n${lines.join('\n')}`);
  t.true(figures.faults > 0 && figures.confirmed > 0);
  t.log(JSON.stringify(figures));
});
