import { availableParallelism, cpus } from 'node:os';
import { startNatsServer } from '../../test/support/nats-server.ts';
import { median } from '../statistics.ts';
import { PAYLOAD_BYTES } from './drive.ts';
import {
  actorLane,
  functionLane,
  type Lane,
  natsLane,
  type Shape,
  shapes,
  socketLane,
} from './lanes.ts';
import { findRay, rayLane } from './ray.ts';

const ROUNDS = 7;
const ROUND_MS = 300;
const WARM_UP_MS = 600;

/**
 * Prints actor calls per second on each bus beside the floor of each: a function call, a raw Unix socket
 * and the raw `request` of the NATS client; and Ray beside them, where it is installed. The lanes take
 * turns, so that what else the machine does hits all of them.
 */
export async function benchCalls(): Promise<void> {
  console.log(
    `Round trips of ${PAYLOAD_BYTES} bytes per second; medians of ${ROUNDS} turns of ${ROUND_MS} ms. ` +
      `Node ${process.versions.node}, ${availableParallelism()} processors (${cpus()[0]?.model}).`,
  );
  const server = await startNatsServer().catch((error: Error) => error);
  const lanes: Lane[] = [];
  try {
    lanes.push(await functionLane(), await actorLane('actors, memory', 'memory'));
    lanes.push(await socketLane(), await actorLane('actors, local', 'local'));
    if (server instanceof Error) {
      console.log(`!!! NATS was NOT measured: no server could be started: ${server.message}`);
    } else {
      const nats = { servers: server.url, timeoutMs: 10_000 };
      lanes.push(await natsLane(server.url), await actorLane('actors, NATS', { nats }));
    }
    const python = findRay();
    if (python !== undefined) lanes.push(await rayLane(python));
    else {
      console.log(
        '!!! Ray was NOT measured: it is not installed. Make a virtual environment outside of this ' +
          'tree, `pip install ray` there, and set CODISTILL_PYTHON to its python.',
      );
    }
    for (const shape of shapes) printShape(shape, await compare(lanes, shape));
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()));
    if (!(server instanceof Error)) await server.stop();
  }
}

/** By the lane's name. */
async function compare(lanes: readonly Lane[], shape: Shape): Promise<ReadonlyMap<string, number>> {
  for (const lane of lanes) await lane.rate(shape, WARM_UP_MS);
  const rates = new Map<string, number[]>(lanes.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const lane of lanes) rates.get(lane.name)!.push(await lane.rate(shape, ROUND_MS));
  }
  return new Map([...rates].map(([name, each]) => [name, median(each)]));
}

const floors: Readonly<Record<string, string>> = {
  'actors, memory': 'function call',
  'actors, local': 'raw Unix socket',
  'actors, NATS': 'raw NATS request',
};

function printShape({ name, width, pairs }: Shape, rates: ReadonlyMap<string, number>): void {
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
