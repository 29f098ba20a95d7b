/** `npm run simulate`: scenarios until all are run; see the help below. */
import { readScriptOptions } from '../support/script-options.ts';
import { runJobScenario } from './job-scenario.ts';
import { runScenario } from './scenario.ts';
import { runSplitScenario } from './split-scenario.ts';

const HELP = `npm run simulate -- [--seeds N] [--seed FIRST] [--trace]

Runs simulated scenarios, splits and submitted jobs of N seeds, by seeds that follow one another, and says which broke a promise.

  --seeds N     scenarios to run; default 1
  --seed FIRST  seed of the first; default 1
  --trace       print what happens
  --help        print this

Ends with 0 when every promise held, 1 when one was broken, 2 for wrong options.`;

const options = readScriptOptions(HELP, { seeds: '1', seed: '1' }, ['trace']);
const count = options.whole('seeds', 1);
const first = options.whole('seed', 0);
const onTrace = options.has('trace') ? (line: string): void => console.log(line) : undefined;
const begun = performance.now();
const sums = { events: 0, made: 0, answered: 0, virtualMs: 0 };
const tables = { faults: new Map<string, number>(), failed: new Map<string, number>() };
const failing: number[] = [];

for (let seed = first; seed < first + count; seed += 1) {
  const reports = [
    await runScenario(seed, onTrace),
    await runSplitScenario(seed, onTrace),
    await runJobScenario(seed, onTrace),
  ];
  for (const { events, calls, virtualMs, faults } of reports) {
    sums.events += events;
    sums.virtualMs += virtualMs;
    sums.made += calls.made;
    sums.answered += calls.answered;
    addAll(tables.faults, faults);
    addAll(tables.failed, calls.failed);
  }
  const violations = reports.flatMap((report) => report.violations);
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

function addAll(into: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [key, count] of from) into.set(key, (into.get(key) ?? 0) + count);
}

function inWords(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([key, count]) => `${count} ${key}`).join(', ') || 'none';
}
