import {
  createSimulation,
  type JobClient,
  type JobRecord,
  type LoggedEvent,
  type Random,
  type SimulatedHost,
  type Simulation,
} from '../../runtime/index.ts';
import { Calls } from './calls.ts';
import { endFaults, planFaults } from './faults.ts';
import { JobJournal } from './job-journal.ts';
import { Journal } from './journal.ts';
import { defineLedger } from './ledger.ts';
import { reportOn, type ScenarioReport } from './scenario-report.ts';
import { Station } from './station.ts';
import { defineTallyJob, type TallyOptions } from './tally-job.ts';

const RETRY_MS = 1_000;
/** What a user may be told under faults. */
const passing = /did not|no answer|nobody|No node has the job|within \d+ s/;
/** From the end of all faults: a controller may still have to be taken over twice. */
const CALM_MS = 60_000;
/** A silent host is lost and its controller taken over, and then boots and finds its actors' names. */
const RESUMED_MS = 30_000;
const STOP_MS = 40_000;
/** Long enough for the next life to begin meanwhile, mostly. */
const AWAY_MS = { least: 8_000, most: 25_000 } as const;
/** After a job's end: who has an actor of a lost life may have been cut off, and then gives the owner time to return. */
const CLEAN_MS = 30_000;

interface SubmittedJob {
  readonly options: TallyOptions;
  readonly journal: JobJournal;
  /** What somebody who followed it from its beginning has read. */
  readonly followed: LoggedEvent[];
  submitted: boolean;
}

export interface JobsReport extends ScenarioReport {
  /** How often a later life of a controller resumed a job. */
  readonly resumed: number;
}

/**
 * Jobs are submitted, followed and stopped from a host of its own while the hosts that run them fail, all drawn from the
 * seed. After that each job ends as it should, and one more does though the host of its controller is lost.
 */
export async function runJobScenario(
  seed: number,
  onTrace?: (line: string) => void,
): Promise<JobsReport> {
  return await reportOn(new JobScenario(seed, onTrace));
}

class JobScenario {
  readonly #simulation: Simulation;
  readonly #random: Random;
  readonly #journal: Journal;
  readonly #calls: Calls;
  readonly #stations: Station[] = [];
  readonly #jobs = new Map<string, SubmittedJob>();
  readonly #journals = new Map<string, JobJournal>();
  readonly #submissions: Promise<void>[] = [];
  #faults: ReadonlyMap<string, number> = new Map();
  #desk: SimulatedHost | undefined;
  #client: JobClient | undefined;

  constructor(seed: number, onTrace: ((line: string) => void) | undefined) {
    this.#simulation = createSimulation({ seed, timerLateMsMax: 5, ...(onTrace && { onTrace }) });
    this.#random = this.#simulation.random;
    this.#journal = new Journal(() => this.#simulation.nowMs);
    this.#calls = new Calls(this.#simulation, this.#journal);
  }

  report(): JobsReport {
    const { seed, eventsRun: events, nowMs: virtualMs } = this.#simulation;
    const runs = [...this.#journals.values()].map((job) => Math.max(0, job.runs - 1));
    return {
      seed,
      violations: this.#journal.violations,
      faults: this.#faults,
      calls: this.#calls.tally,
      events,
      virtualMs,
      resumed: runs.reduce((sum, each) => sum + each, 0),
    };
  }

  async run(): Promise<void> {
    const simulation = this.#simulation;
    const random = this.#random;
    await this.#setUp();
    const durationMs = random.between(5_000, 25_000);
    const faults = {
      simulation,
      stations: this.#stations,
      calls: this.#calls,
      random,
      durationMs,
      restart: (station: Station) => this.#restart(station),
    };
    this.#faults = planFaults(faults);
    const jobs = random.integer(1, 2);
    for (let index = 1; index <= jobs; index += 1) {
      const job = this.#draw(`job-${index}`, random.fork(`job ${index}`));
      simulation.after(random.between(0, durationMs / 3), () => {
        this.#submissions.push(this.#submit(job));
      });
      if (!random.chance(0.4)) continue;
      simulation.after(random.between(durationMs / 3, durationMs), () => this.#stop(job));
    }
    await simulation.runFor(durationMs);
    simulation.trace('the calm begins');
    endFaults(faults);
    await simulation.run(Promise.all([this.#bringUp(), ...this.#submissions]), {
      withinMs: CALM_MS,
    });
    await simulation.run(Promise.all([...this.#jobs.values()].map((job) => this.#see(job))));
    await this.#loseTheController();
    const closing = [...this.#stations.map(({ host }) => host), this.#desk!]
      .filter(({ alive }) => alive)
      .map(({ system }) => system.close());
    await simulation.run(Promise.all(closing), { withinMs: 60_000 });
  }

  async #setUp(): Promise<void> {
    const random = this.#random;
    const actors = [defineLedger(this.#journal)];
    const jobs = [defineTallyJob(this.#journal, this.#journals)];
    const watchedNodesMax = random.fork('watching').pick([2, 100, 100]);
    const hosts = random.integer(2, 5);
    for (let index = 1; index <= hosts; index += 1) {
      const rate = random.between(0.98, 1.02);
      const skew = { rate, offsetMs: random.between(0, 1e6) };
      const options = { name: `n${index}`, actors, jobs, skew, watchedNodesMax };
      const host = await this.#simulation.startHost(options);
      const station = new Station(this.#simulation, host, rate);
      this.#stations.push(station);
      await this.#simulation.run(station.settleIn());
    }
    // It runs no jobs and never fails; what goes to it and comes from it may.
    this.#desk = await this.#simulation.startHost({ name: 'desk', isolation: 'inline' });
    this.#client = this.#desk.openJobClient();
    await this.#simulation.runFor(2_000);
  }

  /** Until the last host that crashed or left is back. */
  async #bringUp(): Promise<void> {
    while (this.#stations.some(({ host, leaving }) => !host.alive || leaving)) {
      await new Promise<void>((resolve) => this.#simulation.after(RETRY_MS, resolve));
    }
  }

  #draw(id: string, random: Random, wish: Partial<TallyOptions> = {}): SubmittedJob {
    const journal = new JobJournal(id, this.#journal);
    const options: TallyOptions = {
      id,
      steps: random.integer(1, 60),
      pauseMs: random.pick([0, 50, 500]),
      workers: random.integer(1, 3),
      end: random.pick(['finishes', 'finishes', 'breaks', 'refuses', 'never']),
      heeds: random.chance(0.8),
      ...wish,
    };
    const job = { options, journal, followed: [], submitted: false };
    this.#jobs.set(id, job);
    this.#journals.set(id, journal);
    return job;
  }

  async #submit(job: SubmittedJob): Promise<void> {
    const { id } = job.options;
    try {
      await this.#client!.submit({ id, job: 'tally', options: job.options });
    } catch (error) {
      // Nobody may have heard of it, or somebody takes it up later.
      this.#simulation.trace(`desk could not submit ${id}: ${error}`);
      if (!passing.test(String(error))) this.#violation(job, `was not submitted: ${error}`);
      return;
    }
    job.submitted = true;
    void this.#follow(job);
  }

  async #follow(job: SubmittedJob): Promise<void> {
    const { signal } = new AbortController();
    try {
      for await (const event of this.#client!.events(job.options.id, { follow: true, signal })) {
        job.followed.push(event);
      }
    } catch (error) {
      this.#simulation.trace(`desk lost the log of ${job.options.id}: ${error}`);
    }
  }

  async #stop(job: SubmittedJob): Promise<void> {
    if (!job.submitted) return;
    try {
      const { state } = await this.#client!.stop(job.options.id);
      const later = await this.#client!.status(job.options.id);
      if (state === later.state && state !== 'running') return;
      this.#violation(job, `was said to be ${state} and is ${later.state}`);
    } catch (error) {
      this.#simulation.trace(`desk could not stop ${job.options.id}: ${error}`);
    }
  }

  /** Nothing is wrong any more: the job ends, as it should have, and leaves nothing behind. */
  async #see(job: SubmittedJob): Promise<void> {
    const { id, end, steps, pauseMs } = job.options;
    const known = (await this.#client!.list()).find((record) => record.id === id);
    if (known === undefined) {
      if (job.submitted) this.#violation(job, 'was submitted and is not known');
      return;
    }
    const stops = end === 'never' && known.state === 'running' && !known.stopAsked;
    // A controller that is being taken over hears of it in its next life.
    const ending = stops ? this.#client!.stop(id).catch(() => {}) : undefined;
    await this.#checkEnd(job, CALM_MS + steps * pauseMs);
    await ending;
  }

  async #checkEnd(job: SubmittedJob, withinMs: number): Promise<void> {
    const { id } = job.options;
    let record: JobRecord;
    try {
      const late = new AbortController();
      this.#simulation.after(withinMs, () => late.abort(new Error(`not within ${withinMs} ms`)));
      record = await this.#client!.waitForEnd(id, late.signal);
    } catch (error) {
      this.#violation(job, `has not ended: ${error}`);
      return;
    }
    const log: LoggedEvent[] = [];
    const { signal } = new AbortController();
    for await (const event of this.#client!.events(id, { follow: false, signal })) log.push(event);
    job.journal.check(record, log);
    this.#checkFollowed(job, log);
    await this.#checkClean(job);
  }

  #checkFollowed(job: SubmittedJob, log: readonly LoggedEvent[]): void {
    const { followed } = job;
    const differs = followed.findIndex(
      ({ event }, index) => JSON.stringify(event) !== JSON.stringify(log[index]?.event),
    );
    if (differs >= 0) this.#violation(job, `was followed otherwise than logged, at ${differs}`);
  }

  async #checkClean(job: SubmittedJob): Promise<void> {
    const { id } = job.options;
    await new Promise<void>((resolve) => this.#simulation.after(CLEAN_MS, resolve));
    const living = this.#stations.filter(({ host }) => host.alive);
    for (const { host } of living) {
      const { hosted } = await host.system.inspectNode();
      const left = hosted.filter(({ name }) => name === `job-${id}` || name.startsWith(`${id}/`));
      for (const { name } of left) this.#violation(job, `is over, and ${name} is at ${host.name}`);
    }
  }

  /** With nothing else wrong the host that runs a job is lost, or is away for a while, or its controller's process dies. */
  async #loseTheController(): Promise<void> {
    const simulation = this.#simulation;
    const random = this.#random;
    const how = random.pick(['crash', 'silent', 'drain', 'process', 'split', 'pause'] as const);
    const isAway = how === 'split' || how === 'pause';
    // Who was away is to find the next life at work.
    const job = this.#draw('last', random.fork('last'), isAway ? { steps: 80, pauseMs: 500 } : {});
    await simulation.run(this.#submit(job));
    if (!job.submitted) {
      this.#violation(job, 'was not submitted though nothing is wrong');
      return;
    }
    await simulation.runFor(random.between(0, 3_000));
    const station = await this.#hostOf(job);
    if (station !== undefined) {
      simulation.trace(`${station.host.name} loses the controller of last: ${how}`);
      if (how === 'crash') station.host.crash();
      if (how === 'silent') station.host.crash(RESUMED_MS);
      if (how === 'process') station.host.crashActor(`job-${job.options.id}`);
      if (how === 'drain') await simulation.run(station.leave(10_000));
      if (how === 'pause') station.pause();
      if (how === 'split') {
        simulation.partitionRegister([station.host]);
        const others = simulation.hosts.filter((host) => host !== station.host);
        simulation.partition([station.host], others);
      }
      if (isAway) await simulation.runFor(random.between(AWAY_MS.least, AWAY_MS.most));
      simulation.heal();
      station.resume();
    }
    const { end, steps, pauseMs } = job.options;
    if (end === 'never') void this.#stop(job);
    const workMs = end === 'never' ? STOP_MS : steps * (pauseMs + 100);
    await simulation.run(this.#checkEnd(job, RESUMED_MS + workMs));
  }

  async #hostOf(job: SubmittedJob): Promise<Station | undefined> {
    const name = `job-${job.options.id}`;
    for (const station of this.#stations.filter(({ host }) => host.alive)) {
      const { hosted } = await this.#simulation.run(station.host.system.inspectNode());
      if (hosted.some((actor) => actor.name === name)) return station;
    }
    return undefined;
  }

  async #restart(station: Station): Promise<void> {
    for (;;) {
      if (!station.host.alive) {
        try {
          await station.host.start();
          await station.settleIn();
          return;
        } catch (error) {
          this.#simulation.trace(`${station.host.name} could not start: ${error}`);
        }
      } else if (!station.leaving) return;
      await station.sleep(RETRY_MS);
    }
  }

  #violation({ options }: SubmittedJob, text: string): void {
    this.#journal.violation(`job ${options.id} ${text}`);
  }
}
