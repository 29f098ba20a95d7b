import {
  createSimulation,
  type Handle,
  type Random,
  type Simulation,
} from '../../runtime/index.ts';
import { Calls } from './calls.ts';
import { acquire, type DetachedPlan } from './detached.ts';
import { Journal } from './journal.ts';
import { defineLedger, type Ledger } from './ledger.ts';
import { reportOn, type ScenarioReport } from './scenario-report.ts';
import { Station } from './station.ts';

const NAME = 'detached-1';
/** A silent host is lost and fenced off within that. */
const SPLIT_MS = { least: 9_000, most: 25_000 } as const;
const SAVES_AT_ONCE = 8;
const SAVE_MS = 1_500;
const SETTLE_MS = 30_000;

export interface SplitReport extends ScenarioReport {
  /** Another host went on with the actor before the split was over. */
  readonly adopted: boolean;
}

/**
 * A detached actor saves as fast as it can when the host that supervises it is split off: from the register, from the
 * other hosts or both, one way or two. The others go on with the actor and save as well. When the split is over nobody
 * saves any more, the actor's process crashes, and it has to have all that it ever acknowledged.
 */
export async function runSplitScenario(
  seed: number,
  onTrace?: (line: string) => void,
): Promise<SplitReport> {
  return await reportOn(new SplitScenario(seed, onTrace));
}

class SplitScenario {
  readonly #simulation: Simulation;
  readonly #random: Random;
  readonly #journal: Journal;
  readonly #calls: Calls;
  readonly #stations: Station[] = [];
  #saving = true;
  #adopted = false;

  constructor(seed: number, onTrace: ((line: string) => void) | undefined) {
    this.#simulation = createSimulation({ seed, timerLateMsMax: 5, ...(onTrace && { onTrace }) });
    this.#random = this.#simulation.random;
    this.#journal = new Journal(() => this.#simulation.nowMs);
    this.#calls = new Calls(this.#simulation, this.#journal);
  }

  report(): SplitReport {
    const { seed, eventsRun: events, nowMs: virtualMs } = this.#simulation;
    const { violations } = this.#journal;
    const calls = this.#calls.tally;
    const faults = new Map([['split', 1]]);
    return { seed, violations, faults, calls, events, virtualMs, adopted: this.#adopted };
  }

  async run(): Promise<void> {
    const simulation = this.#simulation;
    const random = this.#random;
    await this.#setUp();
    const supervisor = await this.#supervisor();
    if (supervisor === undefined) throw new Error(`nobody supervises ${NAME}`);
    const others = this.#stations.filter((station) => station !== supervisor);
    for (const station of this.#stations) void this.#save(station);
    await simulation.runFor(random.between(50, 300));

    const [own, rest] = [[supervisor.host], others.map(({ host }) => host)];
    const way = random.pick(['register', 'both', 'both', 'unheard', 'pause'] as const);
    simulation.trace(`split: ${way}`);
    if (way !== 'unheard' && way !== 'pause') simulation.partitionRegister(own);
    if (way === 'both') simulation.partition(own, rest);
    if (way === 'unheard') simulation.partition(own, rest, { oneWay: true });
    if (way === 'pause') supervisor.pause();
    await simulation.runFor(random.between(SPLIT_MS.least, SPLIT_MS.most));
    this.#adopted = (await this.#supervisor(others)) !== undefined;
    // What the split held up is done late, when the next life has nothing to say.
    this.#saving = false;
    await simulation.runFor(random.between(0, SAVE_MS));
    simulation.heal();
    supervisor.resume();
    await simulation.runFor(random.between(1_000, 8_000));
    for (const { host } of this.#stations) host.crashActor(NAME);
    await simulation.runFor(SETTLE_MS);
    this.#calls.checkOverdue();
    for (const station of this.#stations) {
      const handle = station.ledgers.get(NAME)!;
      await simulation.run(this.#calls.read(station, NAME, handle));
    }
    const closing = this.#stations.map(({ host }) => host.system.close());
    await simulation.run(Promise.all(closing), { withinMs: 60_000 });
  }

  async #setUp(): Promise<void> {
    const random = this.#random;
    const ledger = defineLedger(this.#journal);
    const hosts = random.integer(3, 5);
    for (let index = 1; index <= hosts; index += 1) {
      const rate = random.between(0.98, 1.02);
      const skew = { rate, offsetMs: random.between(0, 1e6) };
      const host = await this.#simulation.startHost({ name: `n${index}`, actors: [ledger], skew });
      const station = new Station(this.#simulation, host, rate);
      this.#stations.push(station);
      await this.#simulation.run(station.settleIn());
    }
    // All have met, so that the actor may be on any of them.
    await this.#simulation.runFor(3_000);
    const plan: DetachedPlan = {
      name: NAME,
      isolation: random.pick(['process', 'process', 'inline']),
      mailboxMessagesMax: 1024,
    };
    for (const station of random.chance(0.5) ? this.#stations : this.#stations.toReversed()) {
      let handle: Handle<Ledger> | undefined;
      // Who only looks for it finds nothing before somebody else has spawned it.
      while (handle === undefined) {
        handle = await this.#simulation.run(acquire(plan, station, random, this.#journal));
      }
      station.ledgers.set(NAME, handle);
    }
  }

  /** The one of these that believes it supervises the actor. */
  async #supervisor(among: readonly Station[] = this.#stations): Promise<Station | undefined> {
    for (const station of among) {
      const { owned } = await this.#simulation.run(station.host.system.inspectNode());
      if (owned.some(({ name, status }) => name === NAME && status !== 'dead')) return station;
    }
    return undefined;
  }

  async #save(station: Station): Promise<void> {
    const random = this.#random.fork(`saves ${station.host.name}`);
    while (this.#saving) {
      const count = random.integer(1, SAVES_AT_ONCE);
      const handle = station.ledgers.get(NAME)!;
      const saves = Array.from({ length: count }, () =>
        this.#calls.save({ station, actor: NAME, handle, random }),
      );
      await Promise.all(saves);
      await station.sleep(random.between(0, 40));
    }
  }
}
