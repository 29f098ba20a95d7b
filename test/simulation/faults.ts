import type { LinkFaults, Random, Simulation } from '../../runtime/index.ts';
import type { Calls } from './calls.ts';
import type { Station } from './station.ts';

/** A drained host may take so long to end its actors and processes, and to take leave of the register. */
const LEAVE_MS = 20_000;

export interface FaultPlanOptions {
  readonly simulation: Simulation;
  readonly stations: readonly Station[];
  readonly calls: Calls;
  readonly random: Random;
  /** Faults begin within that, and all end with it. */
  readonly durationMs: number;
  /** Begins a new life of a host that has crashed. */
  restart(station: Station): Promise<void>;
}

/** Draws what goes wrong and when. @returns how often what. */
export function planFaults(options: FaultPlanOptions): ReadonlyMap<string, number> {
  const { simulation, random, durationMs } = options;
  const planned = new Map<string, number>();
  const count = random.integer(1, 8);
  for (let index = 0; index < count; index += 1) {
    const kind = random.pick(Object.keys(kinds) as (keyof typeof kinds)[]);
    planned.set(kind, (planned.get(kind) ?? 0) + 1);
    const source = random.fork(`${kind} ${index}`);
    simulation.after(source.between(0, durationMs * 0.8), () => kinds[kind](options, source));
  }
  return planned;
}

/** Puts right what can be; a crashed host has been started by its own plan. */
export function endFaults({ simulation, stations }: FaultPlanOptions): void {
  simulation.setFaults({});
  for (const one of stations) {
    for (const other of stations) {
      simulation.setFaults({}, { from: one.host.name, to: other.host.name });
    }
  }
  simulation.heal();
  for (const station of stations) {
    station.resume();
    station.host.reconnect();
  }
}

const kinds = {
  badLinks({ simulation }: FaultPlanOptions, random: Random): void {
    simulation.setFaults(drawFaults(random));
    simulation.after(random.between(500, 10_000), () => simulation.setFaults({}));
  },
  badLink({ simulation, stations }: FaultPlanOptions, random: Random): void {
    const [from, to] = [random.pick(stations).host.name, random.pick(stations).host.name];
    simulation.setFaults(drawFaults(random), { from, to });
    simulation.after(random.between(500, 10_000), () => simulation.setFaults({}, { from, to }));
  },
  partition({ simulation, stations }: FaultPlanOptions, random: Random): void {
    const hosts = stations.map(({ host }) => host);
    const some = hosts.filter(() => random.chance(0.5));
    const others = hosts.filter((host) => !some.includes(host));
    simulation.partition(some, others, { oneWay: random.chance(0.3) });
    simulation.after(random.between(500, 15_000), () => simulation.heal());
  },
  partitionRegister({ simulation, stations }: FaultPlanOptions, random: Random): void {
    simulation.partitionRegister(stations.map(({ host }) => host).filter(() => random.chance(0.5)));
    simulation.after(random.between(500, 20_000), () => simulation.heal());
  },
  crashHost({ simulation, stations, restart }: FaultPlanOptions, random: Random): void {
    const station = random.pick(stations);
    station.resume();
    station.host.crash(random.chance(0.5) ? 0 : random.between(0, 8_000));
    simulation.after(random.between(100, 10_000), () => restart(station));
  },
  drainHost({ simulation, stations, calls, restart }: FaultPlanOptions, random: Random): void {
    const station = random.pick(stations);
    if (!station.host.alive || station.leaving) return;
    const timeoutMs = random.between(500, 10_000);
    const left = calls.within(station, timeoutMs + LEAVE_MS, 'drain', station.leave(timeoutMs));
    left.catch((error) => simulation.trace(`${station.host.name} left with ${error}`));
    simulation.after(random.between(1_000, 15_000), () => restart(station));
  },
  crashActor({ stations }: FaultPlanOptions, random: Random): void {
    random.pick(stations).host.crashActor();
  },
  pause({ simulation, stations }: FaultPlanOptions, random: Random): void {
    const station = random.pick(stations);
    station.pause();
    simulation.after(random.between(50, 12_000), () => station.resume());
  },
  disconnect({ simulation, stations }: FaultPlanOptions, random: Random): void {
    const { host } = random.pick(stations);
    host.disconnect();
    simulation.after(random.between(50, 12_000), () => host.reconnect());
  },
};

function drawFaults(random: Random): Partial<LinkFaults> {
  const slowMs = random.pick([2, 20, 200]);
  return {
    loss: random.pick([0, 0.02, 0.2]),
    duplication: random.pick([0, 0.02, 0.2]),
    reordering: random.pick([0, 0.05, 0.3]),
    delayMs: (source) => source.between(0.2, slowMs),
  };
}
