import { DeadlineError, SimulationStalledError } from '../../errors.ts';
import { type Link, type LinkFaults, SimulatedNetwork } from '../bus/simulated-bus.ts';
import { serveRegister } from '../registry/bus-register.ts';
import { createMemoryRegister } from '../registry/memory-register.ts';
import { createRandom, type Random } from './random.ts';
import { serveChunks } from './simulated-chunks.ts';
import { createSimulatedClock } from './simulated-clock.ts';
import { serveEvents } from './simulated-events.ts';
import { SimulatedHost, type SimulatedHostOptions } from './simulated-host.ts';
import { describeMessage } from './trace-text.ts';
import { Lifeline, VirtualTime } from './virtual-time.ts';

const RUN_MS_MAX = 3_600_000;
/** Where the register is, as a link's end: no host has this name. */
const REGISTER_PLACE = '(register)';

export interface SimulationOptions {
  /** Decides everything that is left to chance. */
  readonly seed: number;
  /** Of all links. Default: none, with messages that travel 0.2 to 2 ms. */
  readonly faults?: Partial<LinkFaults>;
  /** Timers are late by up to so much. Default 1. */
  readonly timerLateMsMax?: number;
  /** The largest message. Default 1 MB, as on NATS. */
  readonly payloadBytesMax?: number;
  /** Gets a line for each message and fault; the same lines for the same seed. */
  readonly onTrace?: (line: string) => void;
}

export interface RunOptions {
  /** Of virtual time. Default one hour. */
  readonly withinMs?: number;
}

export interface PartitionOptions {
  /** Only messages from the first group to the second are lost. */
  readonly oneWay?: boolean;
}

/**
 * Hosts, their network and their time, in one process and without waiting: for tests of actors
 * under faults. What happens depends on the seed and the code alone, as long as that code uses the
 * clock that it is given and neither real timers nor real input.
 */
export interface Simulation {
  readonly seed: number;
  /** Milliseconds since the simulation began. */
  readonly nowMs: number;
  /** For the scenario's own choices. */
  readonly random: Random;
  readonly hosts: readonly SimulatedHost[];
  /** How much has happened: messages, timers and what was planned. */
  readonly eventsRun: number;
  /** A host with a system. Outside of a run the simulation runs until it is there. */
  startHost(options: SimulatedHostOptions): Promise<SimulatedHost>;
  /** Does something after `delayMs`, while the simulation runs. What it throws ends the run. */
  after(delayMs: number, action: () => unknown): void;
  /**
   * Runs until `work` settles, and gives its result.
   * @throws what `work` rejects with, DeadlineError, SimulationStalledError.
   */
  run<Result>(work: Promise<Result>, options?: RunOptions): Promise<Result>;
  /** @throws DeadlineError, SimulationStalledError. */
  runUntil(condition: () => boolean, options?: RunOptions): Promise<void>;
  runFor(durationMs: number): Promise<void>;
  /** From now on: for one link between two hosts, by their names, or for all others. */
  setFaults(faults: Partial<LinkFaults>, link?: Link): void;
  /** Silently loses what the hosts of one group send to those of the other, until `heal`. */
  partition(
    some: readonly SimulatedHost[],
    others: readonly SimulatedHost[],
    options?: PartitionOptions,
  ): void;
  /** Loses what goes between these hosts and the register with its states and log, both ways, until `heal`. */
  partitionRegister(hosts: readonly SimulatedHost[]): void;
  /** Ends all partitions. */
  heal(): void;
  /** Adds a line of the scenario's own to the trace. */
  trace(text: string): void;
}

const faultless: LinkFaults = {
  loss: 0,
  duplication: 0,
  reordering: 0,
  delayMs: (random) => random.between(0.2, 2),
};

/** @throws RangeError for a seed that is no integer from 0 to 2³²−1. */
export function createSimulation(options: SimulationOptions): Simulation {
  return new SeededSimulation(options);
}

class SeededSimulation implements Simulation {
  readonly seed: number;
  readonly random: Random;
  readonly hosts: SimulatedHost[] = [];
  readonly #options: SimulationOptions;
  readonly #time = new VirtualTime();
  readonly #network: SimulatedNetwork;
  readonly #hostRandom: Random;
  #faults: LinkFaults;
  #partitions: Link[] = [];
  readonly #registers = new Map<string, Promise<unknown>>();
  #lastPid = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: SimulationOptions) {
    const { seed, payloadBytesMax, onTrace } = options;
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
      throw new RangeError(`a seed is an integer from 0 to ${2 ** 32 - 1}, got ${seed}`);
    }
    this.seed = seed;
    this.#options = options;
    const random = createRandom(seed);
    // One source for each, so that a scenario stays as it is when the runtime draws more or less.
    this.random = random.fork('scenario');
    this.#hostRandom = random.fork('hosts');
    this.#faults = { ...faultless, ...options.faults };
    this.#network = new SimulatedNetwork({
      time: this.#time,
      random: random.fork('network'),
      faults: this.#faults,
      ...(payloadBytesMax !== undefined && { payloadBytesMax }),
      ...(onTrace && {
        onMessage: (fate, { from, to }, message) =>
          this.trace(`${from}>${to} ${fate} ${describeMessage(message)}`),
      }),
    });
  }

  get nowMs(): number {
    return this.#time.nowMs;
  }

  get eventsRun(): number {
    return this.#time.eventsRun;
  }

  async startHost(options: SimulatedHostOptions): Promise<SimulatedHost> {
    if (this.hosts.some(({ name }) => name === options.name)) {
      throw new RangeError(`the simulation has a host ${options.name} already; names are unique`);
    }
    const host = new SimulatedHost(options, {
      time: this.#time,
      network: this.#network,
      random: this.#hostRandom,
      timerLateMsMax: this.#options.timerLateMsMax ?? 1,
      openStores: (namespace) => this.#openStores(namespace),
      nextPid: () => {
        this.#lastPid += 1;
        return this.#lastPid;
      },
      trace: (text) => this.trace(text),
    });
    this.hosts.push(host);
    const started = host.start();
    await (this.#time.running ? started : this.run(started));
    return host;
  }

  after(delayMs: number, action: () => unknown): void {
    const fail = (error: unknown): void => {
      this.#failure ??= { error };
    };
    this.#time.schedule(delayMs, () => {
      try {
        Promise.resolve(action()).catch(fail);
      } catch (error) {
        fail(error);
      }
    });
  }

  async run<Result>(work: Promise<Result>, options: RunOptions = {}): Promise<Result> {
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    work.then(note, note);
    await this.runUntil(() => settled, options);
    return work;
  }

  async runUntil(condition: () => boolean, options: RunOptions = {}): Promise<void> {
    const { withinMs = RUN_MS_MAX } = options;
    const outcome = await this.#run(condition, withinMs);
    if (outcome === 'late') {
      throw new DeadlineError(
        `seed ${this.seed}: what the simulation ran for did not come about within ${withinMs} ms ` +
          'of virtual time',
      );
    }
    if (outcome === 'idle') {
      throw new SimulationStalledError(
        `seed ${this.seed}: nothing is left to happen at ${this.nowMs} ms, but what the ` +
          'simulation ran for has not come about; it may wait for a real timer or file, or for ever',
      );
    }
  }

  async runFor(durationMs: number): Promise<void> {
    await this.#run(() => false, durationMs);
  }

  setFaults(faults: Partial<LinkFaults>, link?: Link): void {
    const whole = { ...(link ? this.#faults : faultless), ...faults };
    if (link === undefined) this.#faults = whole;
    this.#network.setFaults(whole, link);
  }

  partition(
    some: readonly SimulatedHost[],
    others: readonly SimulatedHost[],
    { oneWay = false }: PartitionOptions = {},
  ): void {
    const names = (hosts: readonly SimulatedHost[]): string => hosts.map(({ name }) => name).join();
    this.trace(`${names(some)} ${oneWay ? 'unheard by' : 'apart from'} ${names(others)}`);
    for (const { name: from } of some) {
      for (const { name: to } of others) {
        this.#block({ from, to });
        if (!oneWay) this.#block({ from: to, to: from });
      }
    }
  }

  partitionRegister(hosts: readonly SimulatedHost[]): void {
    this.trace(`${hosts.map(({ name }) => name).join()} apart from the register`);
    for (const { name } of hosts) {
      this.#block({ from: name, to: REGISTER_PLACE });
      this.#block({ from: REGISTER_PLACE, to: name });
    }
  }

  #block(link: Link): void {
    this.#network.block(link);
    this.#partitions.push(link);
  }

  heal(): void {
    this.trace('partitions heal');
    for (const link of this.#partitions) this.#network.unblock(link);
    this.#partitions = [];
  }

  trace(text: string): void {
    this.#options.onTrace?.(`${this.nowMs.toFixed(3)} ${text}`);
  }

  /** Register, states and log, on a connection as a cluster of servers keeps them; they never fail themselves. */
  async #openStores(namespace: string): Promise<void> {
    let serving = this.#registers.get(namespace);
    if (serving === undefined) {
      const lifeline = new Lifeline();
      const skew = { offsetMs: 0, rate: 1 };
      const parts = { time: this.#time, lifeline, skew, timerLateMsMax: 0 };
      const clock = createSimulatedClock({ ...parts, random: this.#hostRandom });
      const name = `register-${namespace}`;
      const { bus } = this.#network.connect({ name, place: REGISTER_PLACE, clock, lifeline });
      serveChunks(bus, namespace);
      serveEvents(bus, namespace);
      serving = serveRegister({ bus, namespace }, createMemoryRegister());
      this.#registers.set(namespace, serving);
    }
    await serving;
  }

  async #run(done: () => boolean, durationMs: number) {
    const failed = (): boolean => this.#failure !== undefined;
    const outcome = await this.#time.run(() => failed() || done(), this.nowMs + durationMs);
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
    return outcome;
  }
}
