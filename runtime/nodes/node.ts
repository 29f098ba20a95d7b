import { type DeathCause, NoResponderError, PlacementError } from '../../errors.ts';
import type { AnyActorDefinition } from '../actor.ts';
import type { Bus } from '../bus/bus.ts';
import { ActorHost } from '../calls/actor-host.ts';
import { requestControl } from '../calls/control.ts';
import { type Endpoint, encodeCarrying } from '../calls/endpoint.ts';
import type { CallPath } from '../calls/handle.ts';
import { Lease, leasedBus } from '../calls/lease.ts';
import type { ObjectTable } from '../objects/object-table.ts';
import { incarnationOf, subjects } from '../wire/address.ts';
import type { StartMessage, StartValue } from '../wire/life-messages.ts';
import { freeResources, missingResource, type Resources } from '../wire/resources.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { ActorProcess } from './actor-child.ts';
import type { ChildSpawner } from './child-spawner.ts';
import type { LeaseGrant } from './leases.ts';
import { scopeOf } from './name-scope.ts';
import type { ProcessPool } from './process-pool.ts';

/** From the request to the actor's first readiness, the import of its module included. */
export const START_TIMEOUT_MS = 120_000;

/** More lives of other nodes than end here while a start is repeated. */
const ENDED_KEPT = 4_096;

export interface NodeOptions {
  readonly endpoint: Endpoint;
  readonly path: CallPath;
  /** A path of its own over that bus, which holds back what it is told to. */
  createPath(bus: Bus): ClosablePath;
  readonly objects: ObjectTable;
  /** Absent where actors can only live inline. */
  readonly pool: ProcessPool | undefined;
  readonly resources: Resources;
  /** What inline actors spawn through. */
  readonly children: ChildSpawner;
  /** An actor comes that may act only with this lessor's word. */
  onLessor(lessor: string): void;
  /** An actor that was started is gone. */
  onExit(start: StartMessage, cause: DeathCause): void;
  /** An incarnation is gone, or could not begin: `cause` in words. */
  onGone(incarnation: string, cause: string): void;
  log(message: string): void;
}

/** Closing it rejects what is open. */
interface ClosablePath extends CallPath {
  close(): void;
}

/** An actor that lives on this node or is about to: in a child process or inline. */
export interface HostedActor {
  readonly start: StartMessage;
  readonly started: Promise<number>;
  /** When it was ordered, on this node's clock. */
  readonly startedAt: number;
  child: ActorProcess | undefined;
  host: ActorHost | undefined;
  /** Of an inline actor that needs somebody's word. */
  path: ClosablePath | undefined;
  /** Of an inline actor; one in a process has its own there. */
  readonly lease: Lease;
  /** It is meant to end: by its owner's wish, or because the owner is gone. */
  stopping: boolean;
}

/** The actors that live on this node, each in its own process or inline. */
export class Node {
  readonly #options: NodeOptions;
  readonly #actors = new Map<string, HostedActor>();
  /** Why lives ended that another node had asked for, by their secrets: a request may come again. */
  readonly #ended = new Map<string, Error>();

  constructor(options: NodeOptions) {
    this.#options = options;
  }

  get actors(): number {
    return this.#actors.size;
  }

  has(incarnation: string): boolean {
    return this.#actors.has(incarnation);
  }

  /** Whether the life was ordered before: it lives, is being started, or is over. */
  wasOrdered({ owner, name, epoch, secret }: StartMessage): boolean {
    return this.has(incarnationOf(owner, name, epoch)) || this.#ended.has(secret);
  }

  /** Of the name of an incarnation that lives here, which its children have as well. */
  scopeOf(incarnation: string): string | undefined {
    const actor = this.#actors.get(incarnation);
    return actor && scopeOf(actor.start.name);
  }

  get hosted(): readonly HostedActor[] {
    return [...this.#actors.values()];
  }

  /** What is left of the node's resources. */
  get free(): Resources {
    return freeResources(this.#options.resources, this.#reserved());
  }

  *#reserved(): Generator<Resources> {
    for (const { start } of this.#actors.values()) yield start.resources;
  }

  /**
   * Makes the actor live; a repeated request for the same incarnation joins the first, also when that life
   * is over.
   * @returns the pid of its process
   * @throws PlacementError, NoResponderError for a life that is over, or whatever creating the actor throws.
   */
  start(start: StartMessage, definition: AnyActorDefinition, value: StartValue): Promise<number> {
    const incarnation = incarnationOf(start.owner, start.name, start.epoch);
    const running = this.#actors.get(incarnation);
    if (running !== undefined) return running.started;
    const ended = this.#ended.get(start.secret);
    if (ended !== undefined) return Promise.reject(ended);
    const refusal = missingResource(start.resources, this.free);
    if (refusal !== undefined) return Promise.reject(new PlacementError(`it has ${refusal}`));
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const actor: HostedActor = {
      start,
      started: promise,
      startedAt: this.#options.endpoint.clock.now(),
      child: undefined,
      host: undefined,
      path: undefined,
      lease: new Lease(this.#options.endpoint.clock),
      stopping: false,
    };
    this.#actors.set(incarnation, actor);
    const begin = start.isolation === 'inline' ? this.#startInline : this.#startProcess;
    begin.call(this, actor, definition, value).then(resolve, (error: unknown) => {
      const cause = error instanceof Error ? error : new Error(String(error));
      this.#forget(start, cause);
      this.#options.onGone(incarnation, cause.message);
      reject(error);
    });
    return promise;
  }

  /** Those whose word is needed by actors here. */
  get lessors(): ReadonlySet<string> {
    return new Set(this.hosted.flatMap(({ start }) => start.lessor ?? []));
  }

  /**
   * The actors under this lessor may act for so long from now. Those that it gives no word any more end:
   * it had lost this node meanwhile, and has replaced them.
   */
  renewLeases(lessor: string, remainingMs: number, grant: LeaseGrant | undefined): void {
    for (const [incarnation, { start, child, lease, startedAt }] of this.#actors) {
      if (start.lessor !== lessor) continue;
      if (start.grant !== grant?.id) {
        if (grant !== undefined && startedAt < grant.askedAt) this.kill(incarnation);
        continue;
      }
      if (start.isolation === 'inline') lease.renew(remainingMs);
      else child?.renewLease(remainingMs);
    }
  }

  /** Ends the actor at once. Nothing happens if it is gone already. */
  kill(incarnation: string): void {
    const actor = this.#actors.get(incarnation);
    if (actor === undefined) return;
    actor.stopping = true;
    actor.child?.kill();
    if (actor.host) void this.#endInline(actor.host, actor);
  }

  /** Ends all actors of a node that is gone, the detached ones that it supervised included. */
  killAllOf(nodeId: string): void {
    for (const [incarnation, { start }] of this.#actors) {
      if (start.owner === nodeId || start.lessor === nodeId) this.kill(incarnation);
    }
  }

  /** The name of the actor that a child process runs. */
  actorOn(processId: string): string | undefined {
    for (const { child, start } of this.#actors.values()) {
      if (child?.processId === processId) return start.name;
    }
    return undefined;
  }

  /**
   * Asks the owners of actors here to take them elsewhere; those that can't move save their state. This
   * node is about to leave.
   */
  async drain(timeoutMs: number): Promise<void> {
    const { endpoint, log } = this.#options;
    const foreign = [...this.#actors].filter(
      ([, { start }]) => start.owner !== endpoint.nodeId && start.lessor !== endpoint.nodeId,
    );
    const drained = foreign.map(async ([to, { start }]) => {
      const { name, owner } = start;
      const message = { kind: 'move', name, incarnation: to, timeoutMs } as const;
      const parcel = { bytes: encodeMessage(message) };
      const subject = subjects.node(endpoint.namespace, owner);
      try {
        await requestControl(endpoint, subject, 'done', parcel, { timeoutMs });
      } catch (error) {
        log(`actor ${name} was not moved: ${error}`);
      }
    });
    await Promise.all(drained);
  }

  async close(): Promise<void> {
    for (const actor of this.#actors.values()) actor.stopping = true;
    await Promise.all([...this.#actors.values()].map((actor) => actor.host?.stop()));
    for (const { path } of this.#actors.values()) path?.close();
  }

  async #startInline(
    actor: HostedActor,
    definition: AnyActorDefinition,
    { options, state }: StartValue,
  ): Promise<number> {
    const { endpoint, objects, children } = this.#options;
    const { start, lease } = actor;
    let own: ClosablePath | undefined;
    if (start.lessor !== undefined) {
      lease.limit();
      this.#options.onLessor(start.lessor);
      // What it calls waits for its lease as well, which is none of others in this process.
      own = this.#options.createPath(leasedBus(endpoint.bus, lease));
    }
    const path = own ?? this.#options.path;
    const given = { definition, start, options, state };
    try {
      const host = await ActorHost.start({ ...given, endpoint, path, objects, lease, children });
      actor.host = host;
      actor.path = own;
      void host.ended.then((failure) => this.#endInline(host, actor, failure));
    } catch (error) {
      own?.close();
      throw error;
    }
    return process.pid;
  }

  async #startProcess(
    actor: HostedActor,
    definition: AnyActorDefinition,
    value: StartValue,
  ): Promise<number> {
    const { pool, endpoint } = this.#options;
    const { start } = actor;
    if (pool === undefined) {
      throw new PlacementError(
        `actor ${start.name} wants its own process, which can't join a memory bus; ` +
          "spawn it with isolation: 'inline' or use the local bus",
      );
    }
    const child = await pool.take(definition.module, start.environment);
    if (start.niceness !== undefined) this.#setNiceness(child, start.niceness, start.name);
    actor.child = child;
    if (start.lessor !== undefined) this.#options.onLessor(start.lessor);
    const died = child.exited.then((cause) => {
      throw new Error(`actor ${start.name} could not start: ${cause.message}`);
    });
    died.catch(() => {});
    const { module } = definition;
    const parcel = encodeCarrying(endpoint.bus, { ...start, module, value }, START_TIMEOUT_MS);
    const subject = subjects.process(endpoint.namespace, child.processId);
    const answered = requestControl(endpoint, subject, 'started', parcel, {
      timeoutMs: START_TIMEOUT_MS,
    });
    try {
      await Promise.race([answered, died]);
    } catch (error) {
      child.kill();
      answered.catch(() => {});
      throw error;
    }
    void child.exited.then((cause) => this.#noteExit(actor, cause));
    return child.pid;
  }

  #setNiceness(child: ActorProcess, niceness: number, name: string): void {
    try {
      child.setNiceness(niceness);
    } catch (error) {
      this.#options.log(`actor ${name} runs without niceness ${niceness}: ${error}`);
    }
  }

  async #endInline(host: ActorHost, actor: HostedActor, failure?: Error): Promise<void> {
    await host.stop();
    actor.path?.close();
    const message = failure === undefined ? 'it was stopped' : `it failed: ${failure.message}`;
    const kind = failure === undefined ? 'stopped' : 'error';
    this.#noteExit(actor, { kind, message, lastOutput: [] });
  }

  #noteExit(actor: HostedActor, cause: DeathCause): void {
    const { owner, name, epoch } = actor.start;
    const incarnation = incarnationOf(owner, name, epoch);
    if (!this.#actors.has(incarnation)) return;
    this.#forget(
      actor.start,
      new NoResponderError(`life ${epoch} of actor ${name} is over: ${cause.message}`),
    );
    this.#options.onGone(incarnation, cause.message);
    this.#options.onExit(actor.start, actor.stopping ? { ...cause, kind: 'stopped' } : cause);
  }

  #forget(start: StartMessage, why: Error): void {
    this.#actors.delete(incarnationOf(start.owner, start.name, start.epoch));
    // Nobody repeats a start of this node's own.
    if (start.lessor === this.#options.endpoint.nodeId || start.lessor === undefined) return;
    this.#ended.set(start.secret, why);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > ENDED_KEPT) this.#ended.delete(oldest!);
  }
}
