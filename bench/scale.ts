import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  createSimulation,
  defineActor,
  type Handle,
  type SimulatedHost,
  type Simulation,
  type SpawnOptions,
} from '../runtime/index.ts';

const NODES = [10, 30, 100, 300, 1_000];
const ACTORS_PER_NODE = 10;
const OBSERVED_MS = 20_000;
/** Owned by other nodes and placed on the one that dies. */
const DOOMED_ACTORS = 10;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

class Idler {
  answer(): number {
    return 42;
  }
}

const idler = defineActor({
  type: 'bench/idler',
  module: import.meta.url,
  methods: { answer: 'idempotent' },
  create: () => new Idler(),
});

interface Row {
  readonly nodes: number;
  readonly actors: number;
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly kilobytes: number;
  readonly detectedMs: number;
  readonly placedMs: number;
}

/**
 * Simulates larger and larger namespaces: what each node receives and holds while nothing happens,
 * and how long it takes to notice that a node has died and to place its actors again.
 */
export async function benchScale(): Promise<void> {
  console.log(
    `Simulated nodes, ${ACTORS_PER_NODE} inline actors on each, messages that travel 0.5 ms. ` +
      `Node ${process.versions.node}, ${availableParallelism()} processors, seed 1. A crash is silent.`,
  );
  console.log(
    'nodes  actors  messages in/s  bytes in/s  memory (all)  death detected  actors placed again',
  );
  // What is loaded and compiled once is no node's.
  await measure(NODES[0]!);
  for (const nodes of NODES) {
    const row = await measure(nodes);
    console.log(
      `${pad(row.nodes, 5)}  ${pad(row.actors, 6)}  ${pad(row.messagesPerSecond.toFixed(1), 13)}` +
        `  ${pad(row.bytesPerSecond.toFixed(0), 10)}  ${pad(`${row.kilobytes.toFixed(0)} KB`, 12)}` +
        `  ${pad(`${(row.detectedMs / 1000).toFixed(1)} s`, 14)}` +
        `  ${pad(`${(row.placedMs / 1000).toFixed(1)} s`, 19)}`,
    );
  }
  console.log(
    'Messages, bytes and memory are per node; of memory, the part of the actors included.',
  );
}

async function measure(nodes: number): Promise<Row> {
  const memoryBefore = usedBytes();
  const simulation = createSimulation({ seed: 1, faults: { delayMs: 0.5 } });
  const hosts: SimulatedHost[] = [];
  for (let index = 0; index < nodes; index += 1) {
    const labels = { doomed: index === nodes - 1 ? 'yes' : 'no' };
    const options = { name: `n${index}`, actors: [idler], isolation: 'inline', labels } as const;
    hosts.push(await simulation.startHost(options));
  }
  const own = hosts.map((host) => spawnAll(host, ACTORS_PER_NODE, {}));
  await simulation.run(Promise.all(own));
  const victim = hosts.at(-1)!;
  const owners = hosts.slice(0, -1).slice(0, DOOMED_ACTORS);
  const there = { placement: { preferredLabels: { doomed: 'yes' } } };
  const doomed = owners.map((host) => spawnAll(host, 1, there));
  await simulation.run(Promise.all(doomed));
  // What the beginning has set going is over by then.
  await simulation.runFor(OBSERVED_MS);
  const before = trafficOf(hosts);
  await simulation.runFor(OBSERVED_MS);
  const after = trafficOf(hosts);
  const kilobytes = (usedBytes() - memoryBefore) / nodes / 1024;
  const perSecond = (sum: number): number => sum / nodes / (OBSERVED_MS / 1000);
  return {
    nodes,
    actors: nodes * ACTORS_PER_NODE + owners.length,
    messagesPerSecond: perSecond(after.messages - before.messages),
    bytesPerSecond: perSecond(after.bytes - before.bytes),
    kilobytes,
    ...(await crash(simulation, victim, owners)),
  };
}

function spawnAll(
  host: SimulatedHost,
  count: number,
  options: SpawnOptions,
): Promise<readonly Handle<Idler>[]> {
  const spawned = Array.from({ length: count }, () => host.system.spawn(idler, undefined, options));
  return Promise.all(spawned);
}

async function crash(
  simulation: Simulation,
  victim: SimulatedHost,
  owners: readonly SimulatedHost[],
): Promise<Pick<Row, 'detectedMs' | 'placedMs'>> {
  const crashedAt = simulation.nowMs;
  const noticed: number[] = [];
  const placed: number[] = [];
  for (const { system } of owners) {
    system.onActorEvent(({ event }) => {
      if (event === 'died') noticed.push(simulation.nowMs - crashedAt);
      if (event === 'restarted') placed.push(simulation.nowMs - crashedAt);
    });
  }
  victim.crash(Number.MAX_SAFE_INTEGER);
  await simulation.runUntil(() => placed.length === owners.length, { withinMs: 600_000 });
  return { detectedMs: Math.max(...noticed), placedMs: Math.max(...placed) };
}

function trafficOf(hosts: readonly SimulatedHost[]): { messages: number; bytes: number } {
  const sum = { messages: 0, bytes: 0 };
  for (const { traffic } of hosts) {
    sum.messages += traffic?.messagesIn ?? 0;
    sum.bytes += traffic?.bytesIn ?? 0;
  }
  return sum;
}

function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function pad(value: string | number, width: number): string {
  return String(value).padStart(width);
}
