import type { Random, Simulation } from '../../runtime/index.ts';
import type { Calls } from './calls.ts';
import type { Journal } from './journal.ts';
import { defineLedger } from './ledger.ts';
import type { Station } from './station.ts';

/**
 * A silent host is lost after 5 s, and fenced off 11 s later at the earliest; a clock that is 2 % slow,
 * looks each second and the new process take the rest.
 */
const ADOPTED_MS = 21_000;
/** What was left in order is taken up at once, in a new process. */
const TAKEN_OVER_MS = 4_000;
const DRAIN_MS = 10_000;
const STOP_MS = 5_000;

export interface LoseAHostOptions {
  readonly simulation: Simulation;
  readonly random: Random;
  readonly stations: readonly Station[];
  /** Names of the actors that outlive every host. */
  readonly detached: readonly string[];
  readonly calls: Calls;
  readonly journal: Journal;
}

/**
 * With nothing else wrong one host dies or is drained: each detached actor is back in time, with all
 * that it knew if it was drained and with all that it had saved if not. Then they are ended for good.
 */
export async function loseAHost(options: LoseAHostOptions): Promise<void> {
  const { simulation, random, stations, detached, calls, journal } = options;
  if (stations.length < 2 || detached.length === 0) return;
  const lost = random.pick(stations);
  const others = stations.filter((station) => station !== lost);
  const drains = random.chance(0.5);
  const read = (station: Station, name: string, timeoutMs: number): Promise<readonly string[]> =>
    calls.read(station, name, station.ledgers.get(name)!, timeoutMs * station.rate);
  const before = await simulation.run(
    Promise.all(detached.map((name) => read(random.pick(others), name, STOP_MS))),
  );
  if (drains) await simulation.run(lost.leave(DRAIN_MS));
  else lost.host.crash(random.chance(0.5) ? 0 : ADOPTED_MS);
  const boundMs = drains ? TAKEN_OVER_MS : ADOPTED_MS;
  const how = `${boundMs} ms after ${lost.host.name} ${drains ? 'was drained' : 'crashed'}`;
  const checks = others.flatMap((station) =>
    detached.map(async (name, index) => {
      try {
        const keys = new Set(await read(station, name, boundMs));
        if (!drains) return;
        const missing = before[index]!.filter((key) => !keys.has(key));
        if (missing.length > 0) journal.violation(`${name} lost ${missing.join()} in a drain`);
      } catch (error) {
        journal.violation(`${station.host.name} can't read ${name} ${how}: ${error}`);
      }
    }),
  );
  await simulation.run(Promise.all(checks));
  for (const name of detached) await simulation.run(end(name, options, others));
}

/** Anybody may end a detached actor, and its name is free then. */
async function end(
  name: string,
  { random, journal }: LoseAHostOptions,
  stations: readonly Station[],
): Promise<void> {
  const station = random.pick(stations);
  const { system } = random.pick(stations).host;
  try {
    await station.host.system.stop(station.ledgers.get(name)!, { timeoutMs: STOP_MS });
    const found = await system.get(defineLedger(journal), name);
    if (found !== undefined) journal.violation(`${name} has its name after its end`);
  } catch (error) {
    journal.violation(`${station.host.name} can't end ${name}: ${error}`);
  }
}
