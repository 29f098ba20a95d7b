import type { DeathCause } from '../../errors.ts';
import type { AnyActorDefinition } from '../actor.ts';
import type { SimulatedConnection } from '../bus/simulated-bus.ts';
import { watchLink } from '../calls/endpoint.ts';
import type { Clock } from '../clock.ts';
import type { Job } from '../job.ts';
import type { ActorProcess, ProcessOrder } from '../nodes/actor-child.ts';
import { ActorRunner } from '../nodes/actor-runner.ts';
import type { Random } from './random.ts';
import { openSimulatedJob } from './simulated-job.ts';
import { Lifeline, type VirtualTime } from './virtual-time.ts';

const START_MS = { least: 20, most: 200 } as const;
/** From a process's end to the moment when its parent hears of it. */
const EXIT_NOTICE_MS = 2;
const PIPE_MS = 1;

export interface SimulatedProcessOptions {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly order: ProcessOrder;
  readonly pid: number;
  readonly actors: readonly AnyActorDefinition[];
  readonly jobs: readonly Job[];
  readonly watchedNodesMax?: number | undefined;
  /** Of the process that started this one, and hears of its exit. */
  readonly parent: Lifeline;
  createClock(lifeline: Lifeline): Clock;
  connect(name: string, clock: Clock, lifeline: Lifeline): SimulatedConnection;
  /** On the same host, by this process. */
  startProcess(order: ProcessOrder, parent: Lifeline): ActorProcess;
  /** The process is gone, and what it started is to follow. */
  onEnd(): void;
}

/** What stands for an actor's child process: its own connection and clock, and a death of its own. */
export class SimulatedProcess implements ActorProcess {
  readonly processId: string;
  readonly modules: readonly string[];
  readonly pid: number;
  readonly lifeline = new Lifeline();
  readonly #options: SimulatedProcessOptions;
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<DeathCause>();
  readonly #connections: SimulatedConnection[] = [];
  #runner: ActorRunner | undefined;
  #alive = true;

  constructor(options: SimulatedProcessOptions) {
    const { boot } = options.order;
    this.processId = boot.processId;
    this.modules = boot.modules;
    this.pid = options.pid;
    this.#options = options;
    this.#ready.promise.catch(() => {});
    const { time, random } = options;
    const startMs = random.between(START_MS.least, START_MS.most);
    time.schedule(startMs, () => this.#boot(), this.lifeline);
  }

  get exited(): Promise<DeathCause> {
    return this.#exited.promise;
  }

  /** The name of the actor that it runs. */
  get actor(): string | undefined {
    return this.#runner?.actor;
  }

  get parent(): Lifeline {
    return this.#options.parent;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get connections(): readonly SimulatedConnection[] {
    return this.#connections;
  }

  noteReady(): void {
    this.#ready.resolve();
  }

  renewLease(remainingMs: number): void {
    const sentAt = this.#options.time.nowMs;
    const { time } = this.#options;
    // Through a pipe: it is read later than it was written, and counts from the writing.
    time.schedule(
      PIPE_MS,
      () => this.#runner?.renewLease(remainingMs - (time.nowMs - sentAt)),
      this.lifeline,
    );
  }

  setNiceness(): void {}

  kill(): void {
    this.#end({ kind: 'signal', signal: 'SIGKILL', message: 'it was killed', lastOutput: [] });
  }

  dismiss(): void {
    this.#exit(0);
  }

  async sampleMemory(): Promise<void> {}

  /** Dies as by an error of its own. */
  crash(): void {
    const message = `its process (pid ${this.pid}) was ended by SIGSEGV`;
    this.#end({ kind: 'signal', signal: 'SIGSEGV', message, lastOutput: [] });
  }

  #boot(): void {
    const { order, pid, actors, createClock } = this.#options;
    const { namespace, nodeId } = order.boot;
    const clock = createClock(this.lifeline);
    const { bus } = this.#connect(this.processId, clock);
    const runner = new ActorRunner({
      endpoint: { bus, clock, namespace, nodeId, link: watchLink(bus, clock) },
      processId: this.processId,
      secret: order.boot.secret,
      pid,
      modules: this.modules,
      find: async (modules, type) =>
        actors.find((actor) => actor.type === type && modules.includes(actor.module)),
      openJob: (life) => {
        const { time, random, jobs, watchedNodesMax, startProcess } = this.#options;
        return openSimulatedJob(life, {
          namespace,
          processId: this.processId,
          clock,
          random: random.fork(`job ${this.processId}`),
          actors,
          jobs,
          watchedNodesMax,
          connect: (name) => this.#connect(name, clock),
          startProcess: (child) => startProcess(child, this.lifeline),
          date: () => time.nowMs,
          remainingMs: () => runner.leaseRemainingMs,
          exit: () => this.#exit(0),
        });
      },
      leave: (failure) => this.#exit(failure === undefined ? 0 : 1),
    });
    this.#runner = runner;
    runner.run().catch(() => this.#exit(1));
  }

  #connect(name: string, clock: Clock): SimulatedConnection {
    const connection = this.#options.connect(name, clock, this.lifeline);
    this.#connections.push(connection);
    return connection;
  }

  #exit(exitCode: number): void {
    const message = `its process (pid ${this.pid}) exited with code ${exitCode}`;
    this.#end({ kind: 'exit', exitCode, message, lastOutput: [] });
  }

  #end(cause: DeathCause): void {
    if (this.lifeline.ended) return;
    this.lifeline.end();
    for (const connection of this.#connections) connection.forget();
    const { time, parent, onEnd } = this.#options;
    onEnd();
    time.schedule(
      EXIT_NOTICE_MS,
      () => {
        this.#alive = false;
        this.#ready.reject(new Error(`a new process for an actor ended at once: ${cause.message}`));
        this.#exited.resolve(cause);
      },
      parent,
    );
  }
}
