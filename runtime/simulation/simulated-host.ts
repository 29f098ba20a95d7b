import type { AnyActorDefinition } from '../actor.ts';
import type { SimulatedConnection, SimulatedNetwork, Traffic } from '../bus/simulated-bus.ts';
import { type Endpoint, watchLink } from '../calls/endpoint.ts';
import type { Clock } from '../clock.ts';
import type { Job } from '../job.ts';
import { createJobClient, type JobClient } from '../jobs/job-client.ts';
import { jobController, jobLabel } from '../jobs/job-controller.ts';
import type { ProcessOrder } from '../nodes/actor-child.ts';
import { connectRegister } from '../registry/bus-register.ts';
import { createReplicatedCheckpoints } from '../registry/replicated-checkpoints.ts';
import { createSystem, type System } from '../system.ts';
import type { Resources } from '../wire/resources.ts';
import type { Random } from './random.ts';
import { connectChunks } from './simulated-chunks.ts';
import { type ClockSkew, createSimulatedClock } from './simulated-clock.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { connectEvents } from './simulated-events.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { Lifeline, type VirtualTime } from './virtual-time.ts';

/** A child notices the end of its host's process by the pipe between them. */
const ORPHAN_MS_MAX = 20;
const NETWORK_GONE = 'the simulation took the network away';

export interface SimulatedHostOptions {
  /** Unique in the simulation; the `nodeName` and the first life's `nodeId`. */
  readonly name: string;
  /** Actor types that the host can instantiate for other owners. */
  readonly actors?: readonly AnyActorDefinition[];
  /** Jobs that it runs when they are submitted; see `openJobClient`. Their actors are those of `actors`. */
  readonly jobs?: readonly Job[];
  /** `process` (default): actors live in simulated processes of their own, unless spawned inline. */
  readonly isolation?: 'process' | 'inline';
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default 64 processors and 64 GiB. */
  readonly resources?: Resources;
  /** With more other hosts than this the host watches only a part of them. Default 100. */
  readonly watchedNodesMax?: number;
  /** Default: the simulation's own time. */
  readonly skew?: Partial<ClockSkew>;
}

export interface SimulatedHostParts {
  readonly time: VirtualTime;
  readonly network: SimulatedNetwork;
  readonly random: Random;
  readonly timerLateMsMax: number;
  /** Serves the register, the states and the log of a namespace, which all its hosts share. */
  openStores(namespace: string): Promise<void>;
  nextPid(): number;
  trace(text: string): void;
}

interface HostLife {
  readonly lifeline: Lifeline;
  readonly connection: SimulatedConnection;
  readonly system: Promise<System>;
  readonly processes: Set<SimulatedProcess>;
}

/** A machine with one host process and the processes of its actors. */
export class SimulatedHost {
  readonly name: string;
  readonly disk = new SimulatedDisk();
  readonly #options: SimulatedHostOptions;
  readonly #parts: SimulatedHostParts;
  #lives = 0;
  #life: HostLife | undefined;
  #system: System | undefined;
  #endpoint: Endpoint | undefined;
  #connected = true;

  constructor(options: SimulatedHostOptions, parts: SimulatedHostParts) {
    this.name = options.name;
    this.#options = options;
    this.#parts = parts;
  }

  get alive(): boolean {
    return this.#life !== undefined;
  }

  /** Of the present life, or the last one. @throws Error before the first `start` is done. */
  get system(): System {
    if (this.#system === undefined) throw new Error(`host ${this.name} has not started yet`);
    return this.#system;
  }

  /** Through which the system's parts speak: for what a test has to say itself. */
  get endpoint(): Endpoint {
    if (this.#endpoint === undefined) throw new Error(`host ${this.name} has not started yet`);
    return this.#endpoint;
  }

  /** What a command on this host submits and follows jobs with. */
  openJobClient(): JobClient {
    const { endpoint } = this;
    const events = connectEvents(endpoint.bus, endpoint.namespace);
    const register = connectRegister(endpoint);
    return createJobClient({ endpoint, register, events, date: () => this.#parts.time.nowMs });
  }

  /** What went through the host process's connection in its present life. */
  get traffic(): Readonly<Traffic> | undefined {
    return this.#life?.connection.traffic;
  }

  /** Begins a life, under a new node id, with the same disk. */
  async start(): Promise<System> {
    if (this.#life !== undefined) throw new Error(`host ${this.name} is running already`);
    this.#lives += 1;
    const nodeId = this.#lives === 1 ? this.name : `${this.name}-life${this.#lives}`;
    const { openStores, trace } = this.#parts;
    trace(`${nodeId} starts`);
    const lifeline = new Lifeline();
    const clock = this.#createClock(lifeline);
    const connection = this.#connect(nodeId, clock, lifeline);
    const processes = new Set<SimulatedProcess>();
    const { namespace = 'simulation' } = this.#options;
    const system = openStores(namespace).then(() =>
      this.#createSystem(namespace, nodeId, clock, lifeline, connection, processes),
    );
    const life: HostLife = { lifeline, connection, processes, system };
    this.#life = life;
    connection.bus.onStatus(({ type }) => {
      if (type === 'closed' && this.#life === life) this.#end();
    });
    const started = await system;
    if (this.#life === life) this.#system = started;
    return started;
  }

  /**
   * Ends the host process without a word; its actors' processes follow within milliseconds.
   * @param noticedAfterMs until then messages to it vanish instead of finding nobody.
   */
  crash(noticedAfterMs = 0): void {
    if (this.#life === undefined) return;
    this.#parts.trace(`${this.name} crashes`);
    const { time } = this.#parts;
    const { connection } = this.#life;
    this.#end();
    time.schedule(noticedAfterMs, () => connection.forget());
  }

  /** Ends the process that runs the actor, or one at random; false if there is none. */
  crashActor(actorName?: string): boolean {
    const { random, trace } = this.#parts;
    const running = [...(this.#life?.processes ?? [])].filter(({ actor, lifeline }) => {
      if (actor === undefined || lifeline.ended) return false;
      return actorName === undefined || actor === actorName;
    });
    if (running.length === 0) return false;
    const process = random.pick(running);
    trace(`${this.name} loses process ${process.processId} of actor ${process.actor}`);
    process.crash();
    return true;
  }

  /** Stops all its processes in their tracks, as a sleeping machine does. */
  pause(): void {
    this.#parts.trace(`${this.name} pauses`);
    for (const lifeline of this.#lifelines()) lifeline.pause();
  }

  resume(): void {
    this.#parts.trace(`${this.name} resumes`);
    for (const lifeline of this.#lifelines()) this.#parts.time.resume(lifeline);
  }

  /** Its connections to the bus break, and it knows. */
  disconnect(): void {
    this.#parts.trace(`${this.name} is disconnected`);
    this.#connected = false;
    for (const connection of this.#connections()) connection.disconnect(NETWORK_GONE);
  }

  reconnect(): void {
    this.#parts.trace(`${this.name} is reconnected`);
    this.#connected = true;
    for (const connection of this.#connections()) connection.reconnect();
  }

  /** The host process is gone. */
  #end(): void {
    const { lifeline, processes } = this.#life!;
    this.#life = undefined;
    lifeline.end();
    this.#dismissChildren(lifeline, processes);
  }

  /** What a process left behind ends soon. */
  #dismissChildren(parent: Lifeline, processes: ReadonlySet<SimulatedProcess>): void {
    const { time, random } = this.#parts;
    for (const process of processes) {
      if (process.parent !== parent) continue;
      time.schedule(random.between(0, ORPHAN_MS_MAX), () => process.dismiss());
    }
  }

  #lifelines(): readonly Lifeline[] {
    if (this.#life === undefined) return [];
    return [this.#life.lifeline, ...[...this.#life.processes].map(({ lifeline }) => lifeline)];
  }

  #connections(): readonly SimulatedConnection[] {
    if (this.#life === undefined) return [];
    const processes = [...this.#life.processes].flatMap(({ connections }) => connections);
    return [this.#life.connection, ...processes];
  }

  #createClock(lifeline: Lifeline): Clock {
    const { time, random, timerLateMsMax } = this.#parts;
    const { offsetMs = 0, rate = 1 } = this.#options.skew ?? {};
    const skew = { offsetMs, rate };
    return createSimulatedClock({ time, lifeline, skew, timerLateMsMax, random });
  }

  #connect(name: string, clock: Clock, lifeline: Lifeline): SimulatedConnection {
    const connection = this.#parts.network.connect({ name, place: this.name, clock, lifeline });
    if (!this.#connected) connection.disconnect(NETWORK_GONE);
    return connection;
  }

  #createSystem(
    namespace: string,
    nodeId: string,
    clock: Clock,
    lifeline: Lifeline,
    connection: SimulatedConnection,
    processes: Set<SimulatedProcess>,
  ): Promise<System> {
    const { time, random, nextPid, trace } = this.#parts;
    const { isolation = 'process', jobs = [], labels = {}, watchedNodesMax } = this.#options;
    const { resources = { cpu: 64, memoryBytes: 2 ** 36 }, actors: own = [] } = this.#options;
    const actors = jobs.length > 0 ? [...own, jobController as AnyActorDefinition] : own;
    const startProcess = (order: ProcessOrder, parent: Lifeline = lifeline) => {
      const process = new SimulatedProcess({
        time,
        random,
        order,
        pid: nextPid(),
        actors,
        jobs,
        watchedNodesMax,
        parent,
        createClock: (line) => this.#createClock(line),
        connect: (name, clock, line) => this.#connect(name, clock, line),
        startProcess,
        onEnd: () => {
          processes.delete(process);
          this.#dismissChildren(process.lifeline, processes);
        },
      });
      processes.add(process);
      return process;
    };
    const { bus } = connection;
    const endpoint = { bus, clock, namespace, nodeId, link: watchLink(bus, clock) };
    this.#endpoint = endpoint;
    const register = connectRegister(endpoint);
    const replicated = createReplicatedCheckpoints(register, connectChunks(bus, namespace));
    return createSystem({
      bus: {
        connected: bus,
        register,
        replicated,
        ...(watchedNodesMax !== undefined && { watchedNodesMax }),
        ...(isolation === 'process' && { startProcess }),
      },
      namespace,
      nodeId,
      nodeName: this.name,
      labels: { ...labels, ...Object.fromEntries(jobs.map(({ name }) => [jobLabel(name), 'yes'])) },
      resources,
      actors,
      checkpoints: this.disk.open(clock, lifeline, random),
      clock,
      random: random.fork(`system ${nodeId}`),
      log: ({ level, message }) => trace(`${nodeId} ${level}: ${message}`),
    });
  }
}
