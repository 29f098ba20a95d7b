/** `npm run chaos -- --minutes N --seed S`: the chaos test for as long as one likes. */
import { randomInt } from 'node:crypto';
import { readScriptOptions } from '../support/script-options.ts';
import { runChaos } from './chaos-run.ts';

const HELP = `npm run chaos -- [--minutes N] [--seed S]

Kills, pauses, cuts off and restarts the servers and hosts of a real cluster on this machine while calls are made,
and says what was lost, done twice or left without an answer. Each minute is a round with the next seed.

  --minutes N  how long, also a part of one; default 1
  --seed S     of the first round; default random. It decides on the faults; what they hit is real
  --help       print this

Ends with 0 when nothing was wrong, 1 when something was, 2 for wrong options.`;

const ROUND_MS = 60_000;
const FAULTS_AT_ONCE = 2;

const given = readScriptOptions(HELP, { minutes: '1', seed: String(randomInt(1_000_000)) });
const minutes = Number(given.text('minutes'));
if (!(minutes > 0 && minutes < Number.POSITIVE_INFINITY)) {
  given.refuse(`--minutes wants a number over 0, got "${given.text('minutes')}"`);
}
const first = given.whole('seed', 0);

let failures = 0;
for (let round = 0; round * ROUND_MS < minutes * 60_000; round += 1) {
  const seed = first + round;
  console.log(`round ${round + 1}, seed ${seed}`);
  const durationMs = Math.min(ROUND_MS, minutes * 60_000 - round * ROUND_MS);
  const options = { seed, durationMs, atOnce: FAULTS_AT_ONCE, log: console.log };
  const { findings, ...figures } = await runChaos(options);
  console.log(JSON.stringify(figures));
  for (const finding of findings) console.log(`WRONG: ${finding}`);
  failures += findings.length;
}
process.exitCode = failures === 0 ? 0 : 1;
