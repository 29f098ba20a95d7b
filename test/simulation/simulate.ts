/** `npm run simulate -- --seeds N [--seed FIRST] [--trace]`: scenarios until one breaks a promise. */
import { parseArgs } from 'node:util';
import { runScenario } from './scenario.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});
const count = wholeNumber('seeds', values.seeds);
const first = wholeNumber('seed', values.seed);
const onTrace = values.trace ? (line: string): void => console.log(line) : undefined;
const begun = performance.now();
const sums = { events: 0, made: 0, answered: 0, virtualMs: 0 };
const tables = { faults: new Map<string, number>(), failed: new Map<string, number>() };
const failing: number[] = [];

for (let seed = first; seed < first + count; seed += 1) {
  const { violations, events, calls, virtualMs, faults } = await runScenario(seed, onTrace);
  sums.events += events;
  sums.virtualMs += virtualMs;
  sums.made += calls.made;
  sums.answered += calls.answered;
  addAll(tables.faults, faults);
  addAll(tables.failed, calls.failed);
  if (violations.length === 0) continue;
  failing.push(seed);
  console.error(`seed ${seed} broke ${violations.length} promises:`);
  for (const violation of violations.slice(0, 10)) console.error(`  ${violation}`);
  console.error(`  replay: npm run simulate -- --seed ${seed} --trace`);
}

const seconds = (performance.now() - begun) / 1000;
console.log(
  `${count} scenarios from seed ${first}: ${(sums.virtualMs / 3_600_000).toFixed(1)} h of virtual ` +
    `time, ${sums.events} events in ${seconds.toFixed(1)} s`,
);
console.log(`${sums.made} calls and streams: ${sums.answered} answered; ${inWords(tables.failed)}`);
console.log(`faults: ${inWords(tables.faults)}`);
console.log(failing.length === 0 ? 'every promise held' : `failing seeds: ${failing.join(', ')}`);
process.exitCode = failing.length === 0 ? 0 : 1;

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && text !== '') return number;
  console.error(`--${name} wants a whole number, got "${text}"`);
  process.exit(2);
}

function addAll(into: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [key, count] of from) into.set(key, (into.get(key) ?? 0) + count);
}

function inWords(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([key, count]) => `${count} ${key}`).join(', ') || 'none';
}
