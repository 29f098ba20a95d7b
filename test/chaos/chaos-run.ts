import { setTimeout as delay } from 'node:timers/promises';
import {
  type ActorEvent,
  createRandom,
  createSystem,
  type System,
  withCallOptions,
} from '../../runtime/index.ts';
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts';
import { type ChaosCluster, startChaosCluster } from './chaos-cluster.ts';
import { type ChaosHost, makeFaults } from './chaos-faults.ts';
import { type CallerRecord, checkEntries, enterNumbers } from './chaos-load.ts';
import { ledger } from './ledger.ts';

export interface ChaosReport {
  readonly seed: number;
  readonly faults: number;
  readonly confirmed: number;
  readonly failed: number;
  readonly deaths: number;
  /** What should never happen, in words; none is a success. */
  readonly findings: readonly string[];
}

const HOSTS = 3;
const STARTS_MAX = 3;
const LEDGERS = 4;
const NAMES_EVERY_MS = 4_000;
const FINAL_CALL_MS = 30_000;
const NAMESPACE = 'chaos';

/**
 * Loads actors on three hosts over three clustered servers, while these are killed, paused, cut off and
 * restarted, and looks at what came of every call. The seed decides on the faults; what they hit is the
 * real thing, so another run of one seed is a similar one, not the same.
 */
export async function runChaos(options: {
  readonly seed: number;
  readonly durationMs: number;
  /** Faults that may overlap. */
  readonly atOnce: number;
  log(line: string): void;
}): Promise<ChaosReport> {
  const { seed, durationMs, atOnce, log } = options;
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startChaosCluster());
  const ownerLinks = stack.use(await cluster.connectHost());
  const hosts: ChaosHost[] = [];
  for (let index = 0; index < HOSTS; index += 1) {
    hosts.push(stack.use(await startHost(cluster, `host-${index + 1}`)));
  }
  const owner = stack.use(await joinCluster('owner', ownerLinks.urls));
  const rival = stack.use(
    await joinCluster(
      'rival',
      cluster.servers.map(({ url }) => url),
    ),
  );
  await owner.waitForNodes(HOSTS + 2, { timeoutMs: 30_000 });
  const deaths: ActorEvent[] = [];
  const living = new Map<string, ActorEvent>();
  owner.onActorEvent((event) => {
    if (event.event === 'died') deaths.push(event);
    if (event.event === 'died') living.delete(event.actor);
    else living.set(event.actor, event);
  });

  const enough = new AbortController();
  const handles = await spawnLedgers(owner);
  const callers = handles.flatMap((handle, index) =>
    (['enter', 'enterAgain'] as const).map((method) => {
      const name = `${method}-${index}`;
      const { signal } = enough;
      return enterNumbers({ ledger: handle, name, method, signal });
    }),
  );
  const foreign = await callForeign(rival, enough.signal);
  const contest = contestNames([owner, rival], enough.signal);
  const untilMs = performance.now() + durationMs;
  const random = createRandom(seed);
  const actorPids = () => {
    const shared = [process.pid, ...hosts.map((host) => host.node().pid)];
    return [...living.values()].map(({ pid }) => pid).filter((pid) => !shared.includes(pid));
  };
  const scene = { cluster, hosts, ownerLinks, actorPids };
  const faults = await makeFaults({ scene, random, untilMs, atOnce, log });
  enough.abort();
  const records = await Promise.all([...callers, ...foreign]);
  const findings = [
    ...(await contest),
    ...records.flatMap((record) => record.findings),
    ...deaths.filter(({ cause }) => !cause?.message).map(({ actor }) => `${actor} died of nothing`),
  ];
  for (const [index, handle] of handles.entries()) {
    const entries = await withCallOptions(handle, { timeoutMs: FINAL_CALL_MS }).entries();
    for (const record of records) {
      if (record.name.endsWith(`-${index}`)) findings.push(...checkEntries(record, entries));
    }
  }
  return { seed, faults, ...sum(records), deaths: deaths.length, findings };
}

function sum(records: readonly CallerRecord[]): { confirmed: number; failed: number } {
  const confirmed = records.reduce((total, record) => total + record.confirmed.length, 0);
  return { confirmed, failed: records.reduce((total, record) => total + record.failed, 0) };
}

async function spawnLedgers(owner: System) {
  return await Promise.all(
    Array.from({ length: LEDGERS }, (_, index) =>
      owner.spawn(ledger, undefined, {
        name: `ledger-${index}`,
        placement: 'spread',
        // Half of them share the fate of their host, half outlive its pauses.
        isolation: index % 2 === 0 ? 'inline' : 'process',
        maxRestarts: 10_000,
        restartBackoffMs: 50,
      }),
    ),
  );
}

/** Calls from another system, which finds the actors by their names. */
async function callForeign(
  rival: System,
  signal: AbortSignal,
): Promise<readonly Promise<CallerRecord>[]> {
  const handles = await Promise.all(
    Array.from({ length: LEDGERS }, (_, index) => rival.get(ledger, `ledger-${index}`)),
  );
  return handles.map((handle, index) => {
    if (handle === undefined) throw new Error(`ledger-${index} is not found by its name`);
    const name = `foreign-${index}`;
    return enterNumbers({ ledger: handle, name, method: 'enter', signal });
  });
}

/** Two systems spawn one name at the same time, again and again: both must never have it. */
async function contestNames(
  systems: readonly System[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const findings: string[] = [];
  for (let round = 0; !signal.aborted; round += 1) {
    const name = `contested-${round}`;
    const spawned = await Promise.allSettled(
      systems.map((system) => system.spawn(ledger, undefined, { name, isolation: 'inline' })),
    );
    const won = spawned.filter(({ status }) => status === 'fulfilled').length;
    if (won > 1) findings.push(`${name} was given to ${won} systems at once`);
    for (const [index, result] of spawned.entries()) {
      if (result.status === 'fulfilled') await systems[index]!.stop(result.value);
    }
    await delay(NAMES_EVERY_MS, undefined, { signal }).catch(() => {});
  }
  return findings;
}

async function startHost(cluster: ChaosCluster, name: string): Promise<ChaosHost> {
  const links = await cluster.connectHost();
  const start = (): Promise<NodeProcess> => startNodeProcess(systemOptions(name, links.urls));
  let node = await start();
  return {
    links,
    node: () => node,
    async replace() {
      // While the servers have no majority a host does not come up; whoever starts one starts it again.
      for (let attempt = 1; ; attempt += 1) {
        try {
          node = await start();
          return;
        } catch (error) {
          if (attempt === STARTS_MAX) throw error;
        }
      }
    },
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await links[Symbol.asyncDispose]();
    },
  };
}

function joinCluster(name: string, urls: readonly string[]): Promise<System> {
  return createSystem(systemOptions(name, urls));
}

function systemOptions(nodeName: string, servers: readonly string[]) {
  const modules = nodeName === 'rival' ? [] : [ledger.module];
  const bus = { nats: { servers, timeoutMs: 20_000 } };
  return { bus, namespace: NAMESPACE, nodeName, modules, warmProcesses: 0 };
}
