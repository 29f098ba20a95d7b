import { availableParallelism, cpus } from 'node:os';
import { startNatsServer } from '../../test/support/nats-server.ts';
import { median } from '../statistics.ts';
import { PAYLOAD_BYTES } from './drive.ts';
import { findRay, type LaneProcess, startLane, startRayLane } from './lane-process.ts';
import type { Shape } from './lanes.ts';

const ROUNDS = 9;
const ROUND_MS = 300;
/** In each shape, until also the code of the fourth of four callers on two processors is compiled. */
const WARM_UP_MS = 2_000;

interface NamedShape extends Shape {
  readonly name: string;
}

const shapes: readonly NamedShape[] = [
  { name: 'one at a time', width: 1, pairs: 1 },
  { name: '64 in flight', width: 64, pairs: 1 },
  { name: '256 in flight', width: 256, pairs: 1 },
  { name: '4 callers, 4 actors', width: 64, pairs: 4 },
];

/** By the lane's name. */
type Rates = Map<string, number>;

/**
 * Prints actor calls per second on each bus beside the floor of each: a function call, a raw Unix socket
 * and the raw `request` of the NATS client; and Ray beside them, where it is installed. The lanes take
 * turns, so that what else the machine does hits all of them; Ray comes after them, since its processes
 * are busy also while nobody calls.
 */
export async function benchCalls(): Promise<void> {
  console.log(
    `Round trips of ${PAYLOAD_BYTES} bytes per second; medians of ${ROUNDS} turns of ${ROUND_MS} ms, each ` +
      `caller in a process of its own. Node ${process.versions.node}, ${availableParallelism()} ` +
      `processors (${cpus()[0]?.model}).`,
  );
  const rates = new Map<NamedShape, Rates>(shapes.map((shape) => [shape, new Map()]));
  const server = await startNatsServer().catch((error: Error) => error);
  if (server instanceof Error) {
    console.log(`!!! NATS was NOT measured: no server could be started: ${server.message}`);
    await measure(rates, await startLanes(undefined));
  } else {
    await measure(rates, await startLanes(server.url));
    await server.stop();
  }
  const python = findRay();
  if (python !== undefined) await measure(rates, [await startRayLane(python)]);
  else {
    console.log(
      '!!! Ray was NOT measured: it is not installed. Make a virtual environment outside of this ' +
        'tree, `pip install ray` there, and set CODISTILL_PYTHON to its python.',
    );
  }
  for (const [shape, ofShape] of rates) printShape(shape, ofShape);
}

async function startLanes(natsUrl: string | undefined): Promise<readonly LaneProcess[]> {
  return [
    await startLane('function call', 'function'),
    await startLane('actors, memory', 'actors-memory'),
    await startLane('raw Unix socket', 'socket'),
    await startLane('actors, local', 'actors-local'),
    ...(natsUrl === undefined
      ? []
      : [
          await startLane('raw NATS request', 'nats', natsUrl),
          await startLane('actors, NATS', 'actors-nats', natsUrl),
        ]),
  ];
}

/** Adds what these lanes reach to `rates`, and ends them. */
async function measure(
  rates: ReadonlyMap<NamedShape, Rates>,
  lanes: readonly LaneProcess[],
): Promise<void> {
  for (const [shape, ofShape] of rates) {
    for (const lane of lanes) await lane.rate(shape, WARM_UP_MS);
    const turns = new Map(lanes.map((lane): [LaneProcess, number[]] => [lane, []]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [lane, each] of turns) each.push(await lane.rate(shape, ROUND_MS));
    }
    for (const [{ name }, each] of turns) ofShape.set(name, median(each));
  }
  await Promise.all(lanes.map((lane) => lane.close()));
}

const floors: Readonly<Record<string, string>> = {
  'actors, memory': 'function call',
  'actors, local': 'raw Unix socket',
  'actors, NATS': 'raw NATS request',
};

function printShape({ name, width, pairs }: NamedShape, rates: Rates): void {
  console.log(`\n${name}${pairs === 1 ? '' : `, each with ${width} in flight`}`);
  const ray = [...rates].find(([lane]) => lane.startsWith('Ray'))?.[1];
  const nats = rates.get('actors, NATS');
  for (const [lane, rate] of rates) {
    const floor = rates.get(floors[lane] ?? '');
    const notes = [
      ...(floor === undefined ? [] : [`${percent(rate / floor)} of ${floors[lane]}`]),
      ...(lane === 'actors, local' && nats !== undefined ? [`${times(rate / nats)} NATS`] : []),
      ...(floor !== undefined && ray !== undefined ? [`${times(rate / ray)} Ray`] : []),
    ];
    const shown = Math.round(rate).toLocaleString('en');
    console.log(`  ${lane.padEnd(18)} ${shown.padStart(12)}   ${notes.join(', ')}`);
  }
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(0)} %`;
}

function times(ratio: number): string {
  return `${ratio.toFixed(1)} ×`;
}
