import { UnknownActorTypeError } from '../../errors.ts';
import type { AnyActorDefinition } from '../actor.ts';
import { ActorHost } from '../calls/actor-host.ts';
import { Caller } from '../calls/caller.ts';
import { requestControl, serveControl } from '../calls/control.ts';
import { type Endpoint, openCarried } from '../calls/endpoint.ts';
import { Lease, leasedBus } from '../calls/lease.ts';
import { delay } from '../clock.ts';
import type { OpenJob } from '../jobs/job-process.ts';
import { ObjectTable } from '../objects/object-table.ts';
import type { ProcessFigures } from '../observe/process-figures.ts';
import { incarnationOf, subjects } from '../wire/address.ts';
import { parseStartValue, type StartMessage } from '../wire/life-messages.ts';
import { encodeMessage, type WireMessage } from '../wire/wire.ts';
import { createRemoteSpawner } from './child-spawner.ts';

const READY_TIMEOUT_MS = 30_000;
const FETCH_TIMEOUT_MS = 60_000;
/** For words that are on their way when the actor ends. */
const SETTLE_MS = 1_000;

export interface ActorRunnerOptions {
  readonly endpoint: Endpoint;
  /** Of the process's host, for large values and states; absent where the bus is that hub itself. */
  readonly hub?: Endpoint;
  readonly processId: string;
  /** By which the node knows that it is this process that is ready. */
  readonly secret: string;
  readonly pid: number;
  /** The only modules that actors are taken from. */
  readonly modules: readonly string[];
  /** The definition of a type that one of `modules` exports. */
  find(modules: readonly string[], type: string): Promise<AnyActorDefinition | undefined>;
  /** See `ActorContext.openJob`. */
  readonly openJob?: OpenJob | undefined;
  /** Memory and processor time of the process, where it is a real one. */
  processFigures?(): ProcessFigures;
  /** The actor was stopped, or failed, and everything is said: the process is to end. */
  leave(failure: Error | undefined): void;
}

interface Started {
  readonly name: string;
  readonly incarnation: string;
  readonly answer: Promise<WireMessage>;
}

/** The life of an actor's process: tells its node that it is ready, then runs the one actor it gets. */
export class ActorRunner {
  readonly #options: ActorRunnerOptions;
  readonly #objects: ObjectTable;
  readonly #caller: Caller;
  readonly #lease: Lease;
  #host: ActorHost | undefined;
  #started: Started | undefined;

  constructor(options: ActorRunnerOptions) {
    this.#options = options;
    const { endpoint, processId: holder, hub } = options;
    this.#lease = new Lease(endpoint.clock);
    this.#objects = new ObjectTable({ endpoint, holder, ...(hub && { hub }) });
    const leased = { ...endpoint, bus: leasedBus(endpoint.bus, this.#lease) };
    this.#caller = new Caller(leased, this.#objects);
  }

  /** The name of the actor that was ordered. */
  get actor(): string | undefined {
    return this.#started?.name;
  }

  /** Resolves when the node knows of this process. @throws what `requestControl` throws. */
  async run(): Promise<void> {
    const { endpoint, processId, secret } = this.#options;
    const { bus, namespace, nodeId } = endpoint;
    serveControl(bus, subjects.process(namespace, processId), (message) => {
      if (message.kind === 'start') return this.#startOnce(message);
      return message.kind === 'inspect' ? this.#inspect() : undefined;
    });
    await bus.flush();
    await requestControl(
      endpoint,
      subjects.node(namespace, nodeId),
      'done',
      { bytes: encodeMessage({ kind: 'ready', processId, secret }) },
      { timeoutMs: READY_TIMEOUT_MS },
    );
  }

  /** How long the actor may act without another word. */
  get leaseRemainingMs(): number {
    return this.#lease.remainingMs;
  }

  /** The node's word that the actor may act for so long. */
  renewLease(remainingMs: number): void {
    this.#lease.renew(remainingMs);
  }

  #startOnce(start: StartMessage): Promise<WireMessage> {
    const incarnation = incarnationOf(start.owner, start.name, start.epoch);
    // The request may come twice; another actor is refused: one process, one actor.
    if (this.#started !== undefined && this.#started.incarnation !== incarnation) {
      throw new Error(
        `process ${this.#options.processId} runs ${this.#started.incarnation} already`,
      );
    }
    this.#started ??= { name: start.name, incarnation, answer: this.#start(start) };
    return this.#started.answer;
  }

  async #start(start: StartMessage): Promise<WireMessage> {
    const { endpoint, hub, find, pid } = this.#options;
    const modules = this.#options.modules.filter(
      (url) => start.module === undefined || url === start.module,
    );
    const definition = await find(modules, start.type);
    if (definition === undefined) {
      const searched =
        modules.join(', ') || `none: ${start.module} is not among the allowed modules`;
      throw new UnknownActorTypeError(
        `no module exports an actor definition of type ${start.type}; searched: ${searched}`,
      );
    }
    const value = await openCarried(endpoint.bus, start, { timeoutMs: FETCH_TIMEOUT_MS });
    const { options, state } = parseStartValue(value);
    const path = this.#caller;
    const lease = this.#lease;
    if (start.lessor !== undefined) lease.limit();
    const host = await ActorHost.start({
      endpoint,
      ...(hub && { home: hub }),
      path,
      objects: this.#objects,
      definition,
      start,
      options,
      state,
      lease,
      openJob: this.#options.openJob,
      children: createRemoteSpawner(endpoint),
    });
    this.#host = host;
    void this.#leave(host);
    return { kind: 'started', pid };
  }

  #inspect(): WireMessage | undefined {
    if (this.#host === undefined) return undefined;
    const value = { ...this.#host.figures, ...this.#options.processFigures?.() };
    return { kind: 'inspection', value };
  }

  async #leave(host: ActorHost): Promise<void> {
    const failure = await host.ended;
    const { bus, clock } = this.#options.endpoint;
    // Else what messages brought to the last stays until their tickets run out.
    await Promise.race([this.#objects.settled(), delay(clock, SETTLE_MS)]);
    // The answer to the stop request must be out before the process is.
    await bus.flush().catch(() => {});
    this.#options.leave(failure);
  }
}
