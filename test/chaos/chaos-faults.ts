import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../runtime/index.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { isAlive } from '../support/process-watch.ts';
import type { ChaosCluster, HostLinks } from './chaos-cluster.ts';

/** A host process that is followed by another one when it is killed. */
export interface ChaosHost extends AsyncDisposable {
  readonly links: HostLinks;
  node(): NodeProcess;
  replace(): Promise<void>;
}

export interface ChaosScene {
  readonly cluster: ChaosCluster;
  readonly hosts: readonly ChaosHost[];
  /** Of the process that owns the actors. */
  readonly ownerLinks: HostLinks;
  /** Of the actors that have a process of their own, as far as they are known to live. */
  actorPids(): readonly number[];
}

interface Fault {
  readonly name: string;
  /** Two faults never have the same victim at the same time. */
  readonly victim: 'server' | 'host' | 'owner' | 'actor';
  /** Long enough for the far side to be given up, or too short for that. */
  readonly leastMs: number;
  readonly mostMs: number;
  begin(scene: ChaosScene, target: number): Promise<void> | void;
  end(scene: ChaosScene, target: number): Promise<void> | void;
}

const faults: readonly Fault[] = [
  {
    name: 'kill server',
    victim: 'server',
    leastMs: 500,
    mostMs: 3_000,
    begin: ({ cluster }, target) => cluster.servers[target]!.kill(),
    end: ({ cluster }, target) => cluster.servers[target]!.start(),
  },
  {
    name: 'pause server',
    victim: 'server',
    leastMs: 500,
    mostMs: 5_000,
    begin: ({ cluster }, target) => cluster.servers[target]!.pause(),
    end: ({ cluster }, target) => cluster.servers[target]!.resume(),
  },
  {
    name: 'isolate server',
    victim: 'server',
    leastMs: 500,
    mostMs: 5_000,
    begin: ({ cluster }, target) => cluster.setIsolated(target, true),
    end: ({ cluster }, target) => cluster.setIsolated(target, false),
  },
  {
    name: 'kill host',
    victim: 'host',
    leastMs: 0,
    mostMs: 2_000,
    begin: ({ hosts }, target) => hosts[target]!.node()[Symbol.asyncDispose](),
    end: ({ hosts }, target) => hosts[target]!.replace(),
  },
  {
    name: 'pause host',
    victim: 'host',
    leastMs: 1_000,
    mostMs: 8_000,
    begin: ({ hosts }, target) => hosts[target]!.node().send('SIGSTOP'),
    end: ({ hosts }, target) => hosts[target]!.node().send('SIGCONT'),
  },
  {
    name: 'cut off host',
    victim: 'host',
    leastMs: 500,
    mostMs: 8_000,
    begin: ({ hosts }, target) => hosts[target]!.links.setCut(true),
    end: ({ hosts }, target) => hosts[target]!.links.setCut(false),
  },
  {
    name: 'cut off owner',
    victim: 'owner',
    leastMs: 500,
    mostMs: 3_000,
    begin: ({ ownerLinks }) => ownerLinks.setCut(true),
    end: ({ ownerLinks }) => ownerLinks.setCut(false),
  },
  {
    name: 'kill actor',
    victim: 'actor',
    leastMs: 0,
    mostMs: 500,
    begin(scene, target) {
      const pids = scene.actorPids();
      const pid = pids[target % Math.max(1, pids.length)];
      if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL');
    },
    end() {},
  },
];

const GAP_LEAST_MS = 500;
const GAP_MOST_MS = 1_500;

/** Makes faults until `untilMs` (of performance.now()), so many at a time, and undoes each. */
export async function makeFaults(options: {
  readonly scene: ChaosScene;
  readonly random: Random;
  readonly untilMs: number;
  readonly atOnce: number;
  log(line: string): void;
}): Promise<number> {
  const { scene, random, untilMs, atOnce, log } = options;
  const victims = new Set<string>();
  let made = 0;
  // Each kind comes before any comes again, so that a short run has seen all.
  let bag: Fault[] = [];
  const makeOne = async (): Promise<void> => {
    if (bag.length === 0) bag = shuffle(faults, random);
    const fault = bag.pop()!;
    const target = random.integer(0, 2);
    const ms = Math.round(random.between(fault.leastMs, fault.mostMs));
    const victim = fault.victim === 'owner' ? fault.victim : `${fault.victim} ${target}`;
    if (victims.has(victim)) return;
    victims.add(victim);
    log(`${fault.name} ${target + 1} for ${ms} ms`);
    await fault.begin(scene, target);
    await delay(ms);
    await fault.end(scene, target);
    victims.delete(victim);
    made += 1;
  };
  const makeMany = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      await makeOne();
      await delay(random.between(GAP_LEAST_MS, GAP_MOST_MS));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, makeMany));
  return made;
}

function shuffle<Item>(items: readonly Item[], random: Random): Item[] {
  const keyed = items.map((item) => ({ item, key: random.next() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
