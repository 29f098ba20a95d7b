/** `npm run simulate`: scenarios until all are run; see the help below. */
import { parseArgs } from 'node:util';
import { runScenario } from './scenario.ts';

const HELP = `npm run simulate -- [--seeds N] [--seed FIRST] [--trace]

Runs N simulated scenarios, by seeds that follow one another, and says which broke a promise.

  --seeds N     scenarios to run; default 1
  --seed FIRST  seed of the first; default 1
  --trace       print what happens
  --help        print this

Ends with 0 when every promise held, 1 when one was broken, 2 for wrong options.`;

const values = readOptions();
if (values.help) {
  console.log(HELP);
  process.exit();
}
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

function readOptions() {
  try {
    return parseArgs({
      options: {
        seeds: { type: 'string', default: '1' },
        seed: { type: 'string', default: '1' },
        trace: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(message: string): never {
  console.error(`${message}\n\n${HELP}`);
  process.exit(2);
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && text !== '') return number;
  return refuse(`--${name} wants a whole number, got "${text}"`);
}

function addAll(into: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [key, count] of from) into.set(key, (into.get(key) ?? 0) + count);
}

function inWords(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([key, count]) => `${count} ${key}`).join(', ') || 'none';
}
