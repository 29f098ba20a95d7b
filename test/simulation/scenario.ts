import {
  createSimulation,
  type Handle,
  type Random,
  type Simulation,
} from '../../runtime/index.ts';
import { Calls } from './calls.ts';
import { acquire, type DetachedPlan, plant } from './detached.ts';
import { endFaults, planFaults } from './faults.ts';
import { Journal } from './journal.ts';
import { defineLedger, type Ledger } from './ledger.ts';
import { loseAHost } from './lose-a-host.ts';
import { reportOn, type ScenarioReport } from './scenario-report.ts';
import { Station } from './station.ts';

const RETRY_MS = 1_000;
/** Small, so that many values go in chunks. */
const PAYLOAD_BYTES_MAX = 8 << 10;
/** Long enough for every timer of the runtime that a fault has set going. */
const CALM_MS = 60_000;

/** Of an actor that its owner's host takes along. */
interface OwnedPlan extends DetachedPlan {
  readonly owner: Station;
}

/**
 * Some hosts with actors that call one another while things go wrong, all drawn from the seed; then
 * a calm, in which everything has to work again.
 */
export async function runScenario(
  seed: number,
  onTrace?: (line: string) => void,
): Promise<ScenarioReport> {
  return await reportOn(new Scenario(seed, onTrace));
}

class Scenario {
  readonly #simulation: Simulation;
  readonly #random: Random;
  readonly #journal: Journal;
  readonly #calls: Calls;
  readonly #stations: Station[] = [];
  readonly #plans: OwnedPlan[] = [];
  readonly #detached: DetachedPlan[] = [];
  /** As their owners have them. */
  readonly #handles = new Map<string, Handle<Ledger>>();
  #faults: ReadonlyMap<string, number> = new Map();
  #loading = true;

  constructor(seed: number, onTrace: ((line: string) => void) | undefined) {
    this.#simulation = createSimulation({
      seed,
      timerLateMsMax: 5,
      payloadBytesMax: PAYLOAD_BYTES_MAX,
      ...(onTrace && { onTrace }),
    });
    this.#random = this.#simulation.random;
    this.#journal = new Journal(() => this.#simulation.nowMs);
    this.#calls = new Calls(this.#simulation, this.#journal);
  }

  report(): ScenarioReport {
    const { seed, eventsRun, nowMs } = this.#simulation;
    const { violations } = this.#journal;
    const faults = this.#faults;
    return {
      seed,
      violations,
      faults,
      calls: this.#calls.tally,
      events: eventsRun,
      virtualMs: nowMs,
    };
  }

  async run(): Promise<void> {
    const simulation = this.#simulation;
    await this.#setUp();
    const durationMs = this.#random.between(5_000, 25_000);
    const faults = {
      simulation,
      stations: this.#stations,
      calls: this.#calls,
      random: this.#random,
      durationMs,
      restart: (station: Station) => this.#restart(station),
    };
    this.#faults = planFaults(faults);
    for (const station of this.#stations) this.#startClients(station);
    await simulation.runFor(durationMs);
    this.#loading = false;
    simulation.trace('the calm begins');
    endFaults(faults);
    await simulation.runFor(CALM_MS);
    this.#calls.checkOverdue();
    await this.#checkRecovery();
    this.#journal.checkReminders();
    await loseAHost({
      simulation,
      random: this.#random,
      stations: this.#stations,
      detached: this.#detached.map(({ name }) => name),
      calls: this.#calls,
      journal: this.#journal,
    });
    const living = this.#stations.filter(({ host }) => host.alive);
    const closing = living.map(({ host }) => host.system.close());
    await simulation.run(Promise.all(closing), { withinMs: 60_000 });
  }

  async #setUp(): Promise<void> {
    const random = this.#random;
    const ledger = defineLedger(this.#journal);
    const hosts = random.chance(0.3) ? random.integer(5, 8) : random.integer(1, 4);
    // So few that hosts form groups, and have to ask for those of others.
    const watchedNodesMax = random.fork('watching').pick([2, 3, 100]);
    for (let index = 1; index <= hosts; index += 1) {
      const rate = random.between(0.98, 1.02);
      const skew = { rate, offsetMs: random.between(0, 1e6) };
      const options = { name: `n${index}`, actors: [ledger], skew, watchedNodesMax };
      const host = await this.#simulation.startHost(options);
      this.#stations.push(new Station(this.#simulation, host, rate));
    }
    const actors = random.integer(1, 4);
    for (let index = 1; index <= actors; index += 1) {
      this.#plans.push({
        name: `ledger-${index}`,
        owner: random.pick(this.#stations),
        mailboxMessagesMax: random.pick([2, 8, 1024]),
        isolation: random.pick(['process', 'inline']),
      });
    }
    const detached = random.integer(0, 2);
    for (let index = 1; index <= detached; index += 1) {
      this.#detached.push({
        name: `detached-${index}`,
        mailboxMessagesMax: random.pick([8, 1024]),
        isolation: random.pick(['process', 'inline']),
      });
    }
    const planted = this.#detached.filter(() => random.chance(0.3));
    const planting = planted.map((plan) => plant(plan, random.pick(this.#stations), this.#journal));
    await this.#simulation.run(Promise.all(planting), { withinMs: 60_000 });
    const ready = this.#stations.map((station) => this.#furnish(station));
    await this.#simulation.run(Promise.all(ready), { withinMs: 60_000 });
  }

  /** A host has started: it gets its own actors and learns of those of others. */
  async #furnish(station: Station): Promise<void> {
    await station.settleIn();
    const own = this.#plans.filter(({ owner }) => owner === station);
    await Promise.all(own.map((plan) => this.#spawn(plan)));
    await Promise.all([...this.#handles].map(([name, handle]) => station.meet(name, handle)));
    await Promise.all(this.#detached.map((plan) => this.#acquire(plan, station)));
  }

  /** All hosts want each detached actor at once: who comes first spawns it, the others share it. */
  async #acquire(plan: DetachedPlan, station: Station): Promise<void> {
    const { life } = station;
    const random = this.#random.fork(`${plan.name} ${station.host.name} ${life}`);
    while (station.host.alive && station.life === life && !station.leaving) {
      const handle = await acquire(plan, station, random, this.#journal);
      if (handle !== undefined) {
        station.ledgers.set(plan.name, handle);
        return;
      }
      await station.sleep(RETRY_MS);
    }
  }

  /** Tries until it succeeds: what remains of the name's last life may still be there. */
  async #spawn(plan: OwnedPlan): Promise<void> {
    const { owner, name, mailboxMessagesMax, isolation } = plan;
    const { life } = owner;
    const options = { owner: owner.host.system.nodeId };
    const spawnOptions = {
      name,
      isolation,
      mailboxMessagesMax,
      placement: 'spread',
      maxRestarts: 1_000_000,
      resume: true,
    } as const;
    const definition = defineLedger(this.#journal);
    while (owner.host.alive && owner.life === life) {
      try {
        const handle = await owner.host.system.spawn(definition, options, spawnOptions);
        this.#handles.set(name, handle);
        owner.ledgers.set(name, handle);
        void this.#introduce(name, handle, owner);
        return;
      } catch (error) {
        this.#simulation.trace(`${owner.host.name} could not spawn ${name}: ${error}`);
        await owner.sleep(RETRY_MS);
      }
    }
  }

  async #introduce(name: string, handle: Handle<Ledger>, owner: Station): Promise<void> {
    const others = this.#stations.filter((station) => station !== owner);
    await Promise.all(
      others.map(async (station) => {
        while (station.host.alive && this.#handles.get(name) === handle) {
          try {
            await station.meet(name, handle);
            return;
          } catch {
            await station.sleep(RETRY_MS);
          }
        }
      }),
    );
  }

  async #restart(station: Station): Promise<void> {
    if (station.host.alive && !station.leaving) return;
    if (station.host.alive) {
      await station.sleep(RETRY_MS);
      await this.#restart(station);
      return;
    }
    try {
      await station.host.start();
    } catch (error) {
      // As whoever starts it would: the register may be out of reach.
      this.#simulation.trace(`${station.host.name} could not start: ${error}`);
      await station.sleep(RETRY_MS);
      await this.#restart(station);
      return;
    }
    try {
      await this.#furnish(station);
    } catch (error) {
      if (station.host.alive && !station.leaving) throw error;
      this.#simulation.trace(`${station.host.name} ended before it was ready: ${error}`);
      return;
    }
    this.#startClients(station);
  }

  #startClients(station: Station): void {
    const clients = this.#random.integer(1, 3);
    for (let client = 0; client < clients; client += 1) {
      const random = this.#random.fork(`client ${station.host.name} ${station.life} ${client}`);
      void this.#runClient(station, random);
    }
    void this.#watchMailboxes(station);
  }

  async #runClient(station: Station, random: Random): Promise<void> {
    const { life } = station;
    for (;;) {
      await station.sleep(random.between(10, 600));
      if (!this.#loading || !station.host.alive || station.leaving) return;
      if (station.life !== life) return;
      const burst = random.chance(0.1) ? random.integer(5, 15) : 1;
      for (let call = 0; call < burst && station.ledgers.size > 0; call += 1) {
        const [actor, handle] = random.pick([...station.ledgers]);
        void this.#calls.perform({ station, actor, handle, random });
      }
    }
  }

  async #watchMailboxes(station: Station): Promise<void> {
    const { life } = station;
    while (this.#loading && station.host.alive && !station.leaving && station.life === life) {
      const { hosted } = await station.host.system.inspectNode();
      for (const { name, figures } of hosted) {
        const plan = [...this.#plans, ...this.#detached].find((plan) => plan.name === name);
        if (plan === undefined || figures === undefined) continue;
        const own = this.#journal.remindersAsked(name);
        if (figures.waiting <= plan.mailboxMessagesMax + own) continue;
        this.#journal.violation(`the mailbox of ${name} holds ${figures.waiting} calls`);
      }
      await station.sleep(500);
    }
  }

  /** Nothing is wrong any more: each host reaches each actor, and nothing that was saved is missing. */
  async #checkRecovery(): Promise<void> {
    for (const station of this.#stations) {
      if (!station.host.alive) this.#journal.violation(`${station.host.name} was not restarted`);
      for (const { name } of [...this.#plans, ...this.#detached]) {
        const handle = station.ledgers.get(name);
        if (handle === undefined) {
          this.#journal.violation(`${station.host.name} never learned of ${name}`);
          continue;
        }
        try {
          await this.#simulation.run(this.#calls.read(station, name, handle));
        } catch (error) {
          const text = `after the calm ${station.host.name} can't read ${name}: ${error}`;
          this.#journal.violation(text);
        }
      }
    }
  }
}
