import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname, totalmem } from 'node:os';
import { BusClosedError, NoResponderError } from '../errors.ts';
import {
  type ActorDefinition,
  type AnyActorDefinition,
  checkDefinition,
  isActorDefinition,
} from './actor.ts';
import type { BusKind, BusStatus, Subscription } from './bus/bus.ts';
import { hubWord } from './bus/neighbours.ts';
import { requestControl } from './calls/control.ts';
import {
  addressOf,
  createHandle,
  createOwnedHandle,
  type Handle,
  type OwnedHandle,
} from './calls/handle.ts';
import { systemClock } from './clock.ts';
import { type BusChoice, type Connection, connectSystem } from './connection.ts';
import type { ActorEvent } from './nodes/actor-lives.ts';
import { createMemoryCheckpointStore } from './nodes/checkpoint-store.ts';
import { checkNotImporting, definitionsOf } from './nodes/definition-lookup.ts';
import { HostNode, type LogEntry } from './nodes/host-node.ts';
import { readHostProcesses } from './nodes/host-process.ts';
import { checkFullName, fullName } from './nodes/name-scope.ts';
import type { NodeInfo } from './nodes/placement.ts';
import type { SpawnOptions } from './nodes/spawn-options.ts';
import type { ObjectPlan } from './objects/object-limits.ts';
import type { ObjectRef } from './objects/object-ref.ts';
import type { ObjectFacts } from './objects/object-store.ts';
import type { ObjectOptions } from './objects/object-table.ts';
import type { NodeInspection } from './observe/inspection.ts';
import { createObserver, type Inspection, type InspectOptions } from './observe/observer.ts';
import { loadTracing } from './observe/tracing.ts';
import { abortSignal, checkGiven, optional, timeout } from './option-check.ts';
import type { Random } from './simulation/random.ts';
import { checkSystemOptions, type SystemOptions } from './system-options.ts';
import { isDetachedOwner, subjects } from './wire/address.ts';
import { encodeMessage } from './wire/wire.ts';

/** An actor that is asked to stop may take so long to dispose of what it holds. */
const CLOSE_GRACE_MS = 3_000;
const STOP_TIMEOUT_MS = 5_000;
/** Of a word that must not be guessed. */
const SECRET_BYTES = 16;
/** Until another node has taken over from one that died. */
const ADOPTION_MS = 20_000;

/** A host process's part of an actor system: it owns the actors that it spawns. */
export interface System {
  readonly nodeId: string;
  readonly busKind: BusKind;
  /** Where other processes of this host reach the local bus; absent on other buses. */
  readonly socketPath?: string;
  /**
   * Starts an actor and resolves when it takes calls. Its state is kept and it is restarted by this
   * system, which it does not outlive. Disposing of the handle (`await using`) stops the actor, unless
   * `getIfExists` found one that was there.
   * @throws PlacementError with each node's reason, NameTakenError, what `create` threw; TypeError
   * or RangeError for an option that can't be used.
   */
  spawn<Options, Actor>(
    definition: ActorDefinition<Options, Actor>,
    options: Options,
    spawnOptions?: SpawnOptions,
  ): Promise<OwnedHandle<Actor>>;
  /**
   * The actor that has this name, of whatever system of the namespace; undefined when there is none.
   * A name without a slash is one of this system's scope; see `SpawnOptions.name`.
   * @throws TypeError for an actor of another type, DeadlineError when the register is away.
   */
  get<Options, Actor>(
    definition: ActorDefinition<Options, Actor>,
    name: string,
  ): Promise<Handle<Actor> | undefined>;
  /**
   * The value of a reference, from wherever it is: a copy of the caller's own, whose typed arrays
   * are views into the bytes that arrived.
   * @throws ObjectLostError, whose `reason` says why it is gone; DamagedDataError, DeadlineError,
   * the signal's reason.
   */
  get<Value>(ref: ObjectRef<Value>, options?: ObjectOptions): Promise<Value>;
  /**
   * Keeps a value in this node's object store until the last reference to it is released. The value
   * is copied: what is done to it afterwards changes nothing. References inside keep their objects as
   * long as it is kept.
   * @throws ObjectStoreFullError when neither memory nor disk has room; TypeError or RangeError for
   * what can't be sent; DeadlineError, the signal's reason.
   */
  put<Value>(value: Value, options?: ObjectOptions): Promise<ObjectRef<Value>>;
  /** What this node's store holds, the least recently used first. */
  objects(): readonly ObjectFacts[];
  /**
   * This node first, then the others that it knows: all of up to 100; of more those that it watches, has business
   * with or has just asked who they are, as `waitForNodes` and a placement that needs it do.
   */
  nodes(): readonly NodeInfo[];
  /** @throws DeadlineError naming those that are there, or the signal's reason. */
  waitForNodes(
    count: number,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<readonly NodeInfo[]>;
  onActorEvent(listener: (event: ActorEvent) => void): Subscription;
  /** What all nodes of the namespace are and run, as each tells it. Nobody is disturbed by it. */
  inspect(options?: InspectOptions): Promise<Inspection>;
  /** The same of this node alone. */
  inspectNode(): Promise<NodeInspection>;
  /** Of the bus: connected, disconnected, closed. */
  onStatus(listener: (status: BusStatus) => void): Subscription;
  /**
   * Ends an actor of this system, or a detached one from anywhere; it is killed if it doesn't end in
   * time.
   */
  stop(handle: object, options?: { readonly timeoutMs?: number }): Promise<void>;
  /**
   * Asks a node to let its actors finish, to move them elsewhere and to leave; resolves when it is gone.
   * A node that nobody runs as one (see `onLeaveRequest`) only stops taking actors and moves them.
   * @throws DeadlineError when it is still there after `timeoutMs`, NoResponderError.
   */
  drainNode(nodeId: string, options: { readonly timeoutMs: number }): Promise<void>;
  /** Somebody asks this node to leave: who listens drains and closes the system, then. */
  onLeaveRequest(listener: (timeoutMs: number) => void): Subscription;
  /** Lets all actors finish and save their state within `timeoutMs`, then stops them. */
  drain(options: { readonly timeoutMs: number }): Promise<void>;
  /** Stops all actors and processes and leaves the bus. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * In a module that has actors too, call it after they are declared and inside `if (import.meta.main)`: an
 * actor's process imports that module again.
 * @throws TypeError or RangeError for an option that can't be used; BusUnavailableError for a server without
 * JetStream too; what importing a module throws.
 */
export async function createSystem(options: SystemOptions): Promise<System> {
  checkSystemOptions(options);
  checkNotImporting();
  const nodeId = options.nodeId ?? `n${uniqueWord(options.random)}`;
  const namespace = options.namespace ?? 'default';
  const bus = withValueLimit(options.bus, options.objects?.memoryBytesMax);
  const connection = await connectSystem(bus, nodeId, namespace);
  try {
    const listeners = new Set<(event: ActorEvent) => void>();
    const leaving = new Set<(timeoutMs: number) => void>();
    const actors = options.actors ?? [];
    const modules = options.modules ?? [];
    const log = options.log ?? (() => {});
    const host = new HostNode({
      bus: connection.bus,
      register: connection.register,
      replicated: connection.replicated,
      startProcess: connection.startProcess,
      shared: connection.shared,
      watchedNodesMax: connection.watchedNodesMax,
      namespace,
      scope: options.scope,
      nodeId,
      nodeName: options.nodeName ?? hostname(),
      processes: connection.bus.kind === 'nats' ? await readHostProcesses() : undefined,
      life: options.life,
      labels: options.labels ?? {},
      resources: options.resources ?? { cpu: availableParallelism(), memoryBytes: totalmem() },
      modules: [...modules, ...actors.map(({ module }) => module)],
      allowEnvironment: options.allowEnvironment ?? [],
      definitions: connection.shared ? await collectDefinitions(modules, actors) : new Map(),
      checkpoints: options.checkpoints ?? createMemoryCheckpointStore(),
      clock: options.clock ?? systemClock,
      createSecret: () => uniqueWord(options.random, SECRET_BYTES),
      warmProcesses: options.warmProcesses ?? 1,
      tracing: await loadTracing(),
      onCalls: options.onCalls,
      objects: planObjects(connection, options),
      onLeave: (timeoutMs) => {
        for (const listener of leaving) listener(timeoutMs);
        if (leaving.size > 0) return;
        host.drain(timeoutMs).catch((error) => {
          log({ level: 'warning', message: `leaving failed: ${error}` });
        });
      },
      emit: (event) => {
        for (const listener of listeners) tell(listener, event, log);
      },
      log,
    });
    await connection.bus.flush();
    await host.open().catch(async (error: unknown) => {
      await host.close(0);
      throw error;
    });
    return createFacade(host, connection, { listeners, leaving, scope: options.scope });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** What a listener throws is its own affair: supervision must go on. */
function tell(
  listener: (event: ActorEvent) => void,
  event: ActorEvent,
  log: (entry: LogEntry) => void,
): void {
  try {
    listener(event);
  } catch (error) {
    log({ level: 'warning', message: `a listener of actor events failed: ${error}` });
  }
}

interface FacadeParts {
  readonly listeners: Set<(event: ActorEvent) => void>;
  readonly leaving: Set<(timeoutMs: number) => void>;
  readonly scope: string | undefined;
}

function createFacade(
  host: HostNode,
  connection: Connection,
  { listeners, leaving, scope }: FacadeParts,
): System {
  const { supervisor, membership, caller, endpoint } = host;
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await host.close(CLOSE_GRACE_MS);
    await connection.close();
  };
  const system: System = {
    nodeId: endpoint.nodeId,
    busKind: connection.bus.kind,
    ...(connection.socketPath !== undefined && { socketPath: connection.socketPath }),
    async spawn<Options, Actor>(
      definition: ActorDefinition<Options, Actor>,
      options: Options,
      spawnOptions: SpawnOptions = {},
    ) {
      if (closed !== undefined) throw new BusClosedError('the system was closed');
      const spawned = await supervisor.spawn(definition, options, spawnOptions);
      const { address, owned } = spawned;
      const stop = (): Promise<void> => supervisor.stop(address.name, STOP_TIMEOUT_MS);
      return createOwnedHandle<Actor>(address, caller, owned ? stop : async () => {});
    },
    get: createGet(host, scope),
    put: (value, options) => host.objects.put(value, options),
    objects: () => host.store.list(),
    nodes: () => membership.nodes(),
    async waitForNodes(count, options) {
      checkGiven(
        'waitForNodes option',
        { timeoutMs: timeout, signal: optional(abortSignal) },
        options,
      );
      return await membership.waitFor(count, options);
    },
    onActorEvent(listener) {
      listeners.add(listener);
      return { unsubscribe: () => listeners.delete(listener) };
    },
    async inspect(options) {
      const observer = createObserver(endpoint);
      return await observer.inspect(options).finally(() => observer.close());
    },
    inspectNode: () => host.inspector.inspect(0),
    onStatus: (listener) => connection.bus.onStatus(listener),
    async stop(handle, options = {}) {
      checkGiven('stop option', { timeoutMs: optional(timeout) }, options);
      const { timeoutMs = STOP_TIMEOUT_MS } = options;
      const { name, owner } = addressOf(handle);
      if (isDetachedOwner(owner)) {
        await endDetached(host, name, owner, timeoutMs);
        return;
      }
      if (owner !== endpoint.nodeId) {
        throw new TypeError(`actor ${name} belongs to node ${owner}; only its owner can stop it`);
      }
      await supervisor.stop(name, timeoutMs);
    },
    async drainNode(nodeId, options) {
      checkGiven('drain option', { timeoutMs: timeout }, options);
      const { timeoutMs } = options;
      const parcel = { bytes: encodeMessage({ kind: 'leave', timeoutMs }) };
      const subject = subjects.node(endpoint.namespace, nodeId);
      try {
        await requestControl(endpoint, subject, 'done', parcel, { timeoutMs });
      } catch (error) {
        if (!(error instanceof NoResponderError)) throw error;
        const { namespace } = endpoint;
        throw new NoResponderError(`there is no node ${nodeId} in namespace ${namespace}`);
      }
      await membership.waitForEnd(nodeId, timeoutMs);
    },
    onLeaveRequest(listener) {
      leaving.add(listener);
      return { unsubscribe: () => leaving.delete(listener) };
    },
    async drain(options) {
      checkGiven('drain option', { timeoutMs: timeout }, options);
      await host.drain(options.timeoutMs);
    },
    close() {
      closed ??= close();
      return closed;
    },
    [Symbol.asyncDispose]: () => system.close(),
  };
  return system;
}

/** Asks whichever node supervises the actor now; between two of them there may be none for a while. */
async function endDetached(
  { endpoint, names }: HostNode,
  name: string,
  owner: string,
  timeoutMs: number,
): Promise<void> {
  const { clock, namespace } = endpoint;
  const parcel = { bytes: encodeMessage({ kind: 'end-actor', name, timeoutMs }) };
  const giveUpAt = clock.now() + timeoutMs + ADOPTION_MS;
  for (;;) {
    const leftMs = Math.max(1, giveUpAt - clock.now());
    try {
      const subject = subjects.node(namespace, owner);
      await requestControl(endpoint, subject, 'done', parcel, { timeoutMs: leftMs });
      return;
    } catch (error) {
      if (!(error instanceof NoResponderError) || clock.now() >= giveUpAt) throw error;
    }
    if ((await names.find(name)) === undefined) return;
  }
}

/** What `System.get` does, which is asked for an actor or for an object. */
function createGet({ names, objects, caller }: HostNode, scope: string | undefined): System['get'] {
  function get<Options, Actor>(
    definition: ActorDefinition<Options, Actor>,
    name: string,
  ): Promise<Handle<Actor> | undefined>;
  function get<Value>(ref: ObjectRef<Value>, options?: ObjectOptions): Promise<Value>;
  async function get(what: object, how?: string | ObjectOptions): Promise<unknown> {
    if (!isActorDefinition(what)) {
      if (typeof how === 'string') checkDefinition(what);
      return await objects.get(what as ObjectRef<unknown>, how as ObjectOptions, caller);
    }
    if (typeof how !== 'string') {
      throw new TypeError(`the name of an actor of type ${what.type} must be a string; got ${how}`);
    }
    const name = fullName(scope, how);
    checkFullName(name);
    const address = await names.find(name);
    if (address === undefined) return undefined;
    if (address.type === what.type) return createHandle(address, caller);
    throw new TypeError(
      `actor ${how} is of type ${address.type}, not of ${what.type}: ask for it as that`,
    );
  }
  return get;
}

/** A process takes no more from a stranger than its node keeps, unless told otherwise. */
function withValueLimit(bus: BusChoice, memoryBytesMax: number | undefined): BusChoice {
  if (typeof bus === 'string' || 'connected' in bus || memoryBytesMax === undefined) return bus;
  return { nats: { valueBytesMax: memoryBytesMax, ...bus.nats } };
}

function planObjects(
  { hub, hubPath }: Connection,
  { objects: limits = {}, random }: SystemOptions,
): ObjectPlan {
  const word = hubPath === undefined ? uniqueWord(random) : hubWord(hubPath);
  return { limits, word, ...(hub && { hub }) };
}

function uniqueWord(random: Random | undefined, bytes = 6): string {
  if (random === undefined) return randomBytes(bytes).toString('hex');
  return Array.from({ length: bytes * 2 }, () => random.integer(0, 15).toString(16)).join('');
}

async function collectDefinitions(
  modules: readonly string[],
  actors: readonly AnyActorDefinition[],
): Promise<ReadonlyMap<string, AnyActorDefinition>> {
  const definitions = new Map(actors.map((definition) => [definition.type, definition]));
  for (const module of modules) {
    for (const definition of await definitionsOf(module)) {
      const known = definitions.get(definition.type);
      if (known !== undefined && known.module !== definition.module) {
        throw new TypeError(
          `modules ${known.module} and ${definition.module} both export actor type ` +
            `${definition.type}; a type must have one definition`,
        );
      }
      definitions.set(definition.type, definition);
    }
  }
  return definitions;
}
