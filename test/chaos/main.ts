/** `npm run chaos -- --minutes N --seed S`: the chaos test for as long as one likes. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runChaos } from './chaos-run.ts';

const ROUND_MS = 60_000;
const FAULTS_AT_ONCE = 2;

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } },
});
const minutes = Number(values.minutes);
const first = values.seed === undefined ? randomInt(1_000_000) : Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(first)) {
  throw new TypeError('--minutes wants a number over 0, --seed a whole number');
}

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
