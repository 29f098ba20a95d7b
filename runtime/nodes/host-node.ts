import type { DeathCause } from '../../errors.ts';
import type { AnyActorDefinition } from '../actor.ts';
import type { Bus, Subscription } from '../bus/bus.ts';
import { Caller } from '../calls/caller.ts';
import { requestControl, serveControl } from '../calls/control.ts';
import { type Endpoint, watchLink } from '../calls/endpoint.ts';
import type { ActorAddress } from '../calls/handle.ts';
import type { Clock } from '../clock.ts';
import { type ObjectPlan, openStore } from '../objects/object-limits.ts';
import { ObjectServer } from '../objects/object-server.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { ObjectTable } from '../objects/object-table.ts';
import type { ActorCalls } from '../observe/actor-calls.ts';
import { Inspector } from '../observe/inspector.ts';
import { MicroService } from '../observe/micro-service.ts';
import { describeActorEvent, describeBusStatus, RuntimeEvents } from '../observe/runtime-events.ts';
import type { Tracing } from '../observe/tracing.ts';
import { queueActor } from '../patterns/queue.ts';
import type { Register } from '../registry/register.ts';
import type { ReplicatedCheckpoints } from '../registry/replicated-checkpoints.ts';
import { incarnationOf, subjects } from '../wire/address.ts';
import type { StartMessage } from '../wire/life-messages.ts';
import type { ObjectAddress, TravellingAddress } from '../wire/object-messages.ts';
import type { Resources } from '../wire/resources.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { StartProcess } from './actor-child.ts';
import type { ActorEvent } from './actor-lives.ts';
import { Adoption } from './adoption.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { ChildSpawns } from './child-spawner.ts';
import { DeadEntries } from './dead-entries.ts';
import { findDefinition } from './definition-lookup.ts';
import type { HostProcesses } from './host-process.ts';
import { Leases } from './leases.ts';
import { Membership } from './membership.ts';
import { Names } from './names.ts';
import { Node } from './node.ts';
import { NodeRequests } from './node-requests.ts';
import { ProcessPool } from './process-pool.ts';
import { type NodeLife, Registration } from './registration.ts';
import { Supervisor } from './supervisor.ts';
import { Suspects } from './suspects.ts';

/** Tries to tell an owner of an actor's end for so long; its node may be reconnecting. */
const EXIT_REPORT_MS = 60_000;
/** An owner that was lost gets so long to come back before its actors here are ended. */
const OWNER_GRACE_MS = 10_000;

/** What happens besides calls, for a log. */
export interface LogEntry {
  /** `output`: a line that an actor's process wrote. */
  readonly level: 'info' | 'warning' | 'output';
  readonly message: string;
  readonly actor?: string;
  /** Another node speaks another protocol version: neither takes part in what the other does. */
  readonly code?: 'NODE_REFUSED';
}

export interface HostNodeOptions {
  readonly bus: Bus;
  /** Of all systems of the namespace. */
  readonly register: Register;
  /** Absent where actors can only live inline. */
  readonly startProcess: StartProcess | undefined;
  /** Other systems may be on the same bus. */
  readonly shared: boolean;
  /** Of more nodes only a part is watched; default 100. */
  readonly watchedNodesMax: number | undefined;
  readonly namespace: string;
  readonly scope: string | undefined;
  readonly nodeId: string;
  readonly nodeName: string;
  /** Absent where nothing is known of the processes of hosts. */
  readonly processes: HostProcesses | undefined;
  /** The actor that this system is part of: its names are kept no longer than that acts. */
  readonly life: NodeLife | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly modules: readonly string[];
  /** Variables that other hosts may set for actors here. */
  readonly allowEnvironment: readonly string[];
  /** What may be instantiated for other owners, by type. */
  readonly definitions: ReadonlyMap<string, AnyActorDefinition>;
  readonly checkpoints: CheckpointStore;
  /** States of detached actors; absent where nothing outlives this process. */
  readonly replicated: ReplicatedCheckpoints | undefined;
  readonly clock: Clock;
  /** A word that nobody can guess; another one each time. */
  createSecret(): string;
  readonly warmProcesses: number;
  readonly tracing: Tracing | undefined;
  readonly objects: ObjectPlan;
  emit(event: ActorEvent): void;
  /** Wants to know when calls of own actors ran. */
  readonly onCalls: ((calls: ActorCalls) => void) | undefined;
  /** Somebody wants this node to leave within that time. */
  onLeave(timeoutMs: number): void;
  log(entry: LogEntry): void;
}

/** The parts of one host process, wired: its node, its supervisor and their place among others. */
export class HostNode {
  readonly endpoint: Endpoint;
  readonly caller: Caller;
  readonly store: ObjectStore;
  readonly objects: ObjectTable;
  readonly supervisor: Supervisor;
  readonly membership: Membership;
  readonly node: Node;
  readonly names: Names;
  readonly inspector: Inspector;
  readonly #microService: MicroService | undefined;
  readonly #registration: Registration;
  readonly #leases: Leases;
  readonly #suspects: Suspects;
  readonly #adoption: Adoption | undefined;
  readonly #deadEntries: DeadEntries | undefined;
  readonly #events: RuntimeEvents;
  readonly #pool: ProcessPool | undefined;
  readonly #options: HostNodeOptions;
  readonly #childSpawns: ChildSpawns;
  readonly #requests: NodeRequests;
  readonly #serving: readonly Subscription[];
  readonly #objectServers: readonly ObjectServer[];
  /** To this node's own processes without the server. */
  readonly #home: Endpoint | undefined;
  #lastProcess = 0;
  #draining = false;

  constructor(options: HostNodeOptions) {
    this.#options = options;
    const { bus, clock, namespace, nodeId, shared, tracing, createSecret } = options;
    this.endpoint = { bus, clock, namespace, nodeId, link: watchLink(bus, clock), tracing };
    const { endpoint } = this;
    const { hub } = options.objects;
    const home = hub && { ...endpoint, bus: hub, link: watchLink(hub, clock) };
    this.#home = home;
    this.#events = new RuntimeEvents(endpoint, options.nodeName);
    this.#noteBusTrouble();
    this.store = openStore(endpoint, options.objects);
    this.objects = new ObjectTable({ endpoint, holder: nodeId, store: this.store });
    this.#objectServers = this.#serveObjects();
    const stateHere = (address: ActorAddress) => this.supervisor.locator.locateHere(address);
    this.caller = new Caller(endpoint, this.objects, stateHere);
    this.#pool = options.startProcess && this.#createPool(options.startProcess);
    const warn = (message: string): void => options.log({ level: 'warning', message });
    this.node = new Node({
      endpoint,
      path: this.caller,
      createPath: (own) => new Caller({ ...endpoint, bus: own }, this.objects, stateHere),
      objects: this.objects,
      pool: this.#pool,
      resources: options.resources,
      onLessor: (lessor) => this.#leases.request(lessor),
      // Later than `supervisor` and `#childSpawns`, which need the node.
      children: {
        spawn: (...all) => this.supervisor.spawn(...all),
        stop: ({ name }, timeoutMs) => this.supervisor.stop(name, timeoutMs),
      },
      onExit: (start, cause) => this.#noteExit(start, cause),
      onGone: (incarnation, cause) => {
        this.supervisor.endChildrenOf(incarnation, cause);
        this.#childSpawns.forget(incarnation);
      },
      log: warn,
    });
    this.#registration = this.#createRegistration(warn);
    this.names = new Names({
      endpoint,
      register: options.register,
      registration: this.#registration,
      proofs: options,
      sightingOf: (id) => this.#suspects.sightingOf(id),
      onWait: warn,
      onLost: (name, why) => this.supervisor.noteNameLost(name, why),
    });
    this.#suspects = new Suspects({
      register: options.register,
      clock,
      isSilent: (id) => this.membership.isSilent(id),
    });
    this.#leases = new Leases({
      endpoint,
      lessors: () => this.node.lessors,
      renew: (lessor, remainingMs, grant) => {
        this.membership.hear(lessor);
        this.node.renewLeases(lessor, remainingMs, grant);
      },
      createSecret,
      ownRemainingMs: () => this.#registration.remainingMs,
    });
    this.supervisor = new Supervisor({
      endpoint,
      home,
      caller: this.caller,
      node: this.node,
      checkpoints: options.checkpoints,
      replicated: options.replicated,
      serve: (owner) => this.#serve(bus, owner),
      isolation: this.#pool ? 'process' : 'inline',
      scope: options.scope,
      shared,
      names: this.names,
      beforeLending: () => this.#registration.lend(),
      outstandingMs: (nodeId) => this.#leases.outstandingMs(nodeId),
      grantIdFor: (nodeId) => this.#leases.idFor(nodeId),
      revoke: (nodeId) => this.#leases.revoke(nodeId),
      createSecret,
      nodes: () => this.membership.nodes(),
      knowsAllNodes: () => !this.membership.isPartial,
      rollCall: () => this.membership.rollCall(),
      nodeName: (nodeId) => this.membership.nameOf(nodeId),
      refusals: () => this.membership.refusals,
      recordCalls: options.onCalls !== undefined,
      emit: (event) => {
        this.#events.add(describeActorEvent(event, (id) => this.membership.nameOf(id)));
        options.emit(event);
      },
      onRefused: ({ name, type }, message) =>
        this.#events.add({ event: 'placement-refused', message, actor: name, actorType: type }),
      log: warn,
    });
    this.#childSpawns = new ChildSpawns({
      endpoint,
      path: this.caller,
      supervisor: this.supervisor,
      allowEnvironment: options.allowEnvironment,
      find: (module, type) => this.#findDefinition(module, type),
    });
    this.#serving = [
      ...(home === undefined ? [bus] : [bus, home.bus]).map((way) => this.#serve(way, nodeId)),
      // Of all nodes any one is enough.
      serveControl(bus, subjects.lookup(namespace), (message) => this.#requests.locate(message), {
        queue: 'nodes',
      }),
    ];
    this.membership = new Membership({
      endpoint,
      shared,
      describe: () => this.#describe(),
      watchedNodesMax: options.watchedNodesMax,
      related: () =>
        new Set([
          ...this.node.lessors,
          ...this.supervisor.actorNodes,
          ...this.objects.reader.sources,
        ]),
      onJoined: ({ nodeId: node, nodeName }) =>
        this.#events.add({ event: 'node-joined', message: `node ${nodeName} joined`, node }),
      onOverdue: (id) => {
        if (this.#adoption !== undefined) this.#suspects.watch(id);
      },
      onLost: (info, why, how) => {
        const message = `node ${info.nodeName} ${why}`;
        this.#events.add({ event: `node-${how}`, message, node: info.nodeId });
        this.supervisor.noteNodeLost(info, why);
        this.objects.reader.noteGone(info.nodeId, why);
        this.#adoption?.look();
        // An owner that was only busy for some seconds should find its actors again.
        clock.setTimeout(() => {
          if (!this.membership.isAlive(info.nodeId)) this.node.killAllOf(info.nodeId);
        }, OWNER_GRACE_MS);
      },
      onRefused: (why) => {
        this.#events.add({ event: 'node-refused', message: why });
        options.log({ level: 'warning', message: `refused: ${why}`, code: 'NODE_REFUSED' });
      },
      onReturned: (id) => this.objects.reader.noteReturned(id),
    });
    const { node, supervisor, membership, store, names } = this;
    const { definitions, register } = options;
    if (shared) {
      const isMissing = (id: string): boolean => membership.isMissing(id);
      const isFirst = (): boolean => membership.isFirstOfGroup;
      this.#deadEntries = new DeadEntries({ register, clock, isMissing, isFirst });
    }
    this.#adoption =
      options.replicated &&
      new Adoption({ endpoint, names, supervisor, membership, definitions, log: warn });
    this.#requests = new NodeRequests({
      endpoint,
      nodeName: options.nodeName,
      allowEnvironment: options.allowEnvironment,
      definitions,
      pool: this.#pool,
      node,
      supervisor,
      membership,
      names,
      leases: this.#leases,
      adoption: this.#adoption,
      childSpawns: this.#childSpawns,
      isDraining: () => this.#draining,
      onCalls: options.onCalls,
      onLeave: (timeoutMs) => options.onLeave(timeoutMs),
    });
    this.inspector = new Inspector({
      endpoint,
      node,
      supervisor,
      membership,
      store,
      events: this.#events,
    });
    if (bus.kind === 'nats') {
      this.#microService = new MicroService(endpoint, this.inspector);
    }
  }

  /** Enters the node in the register. @throws DeadlineError when that is away. */
  open(): Promise<void> {
    return this.#registration.enter();
  }

  /** Moves actors of other owners elsewhere, lets the own ones save their state and ends those. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    this.#adoption?.close();
    this.membership.announce();
    // A fifth is left for the stop, and for what detached actors save: more if the others are done early.
    const savingMs = timeoutMs * 0.8;
    const giveUpAt = this.endpoint.clock.now() + timeoutMs;
    await Promise.all([this.supervisor.drain(savingMs), this.node.drain(savingMs)]);
    const leftMs = giveUpAt - this.endpoint.clock.now();
    await this.supervisor.close(Math.max(timeoutMs - savingMs, leftMs));
  }

  /** Ends own actors, then those of other owners, then the processes; bounded by `graceMs` each. */
  async close(graceMs: number): Promise<void> {
    this.#adoption?.close();
    this.#deadEntries?.close();
    this.#suspects.close();
    await this.supervisor.close(graceMs);
    this.#leases.close();
    await this.names.close();
    await this.#registration.close();
    this.membership.close();
    await this.node.close();
    await this.#pool?.close(graceMs);
    this.caller.close();
    for (const server of this.#objectServers) server.close();
    this.objects.close();
    await this.store.close();
    for (const serving of this.#serving) serving.unsubscribe();
    this.#home?.link.close();
    this.inspector.close();
    this.#microService?.close();
    this.endpoint.link.close();
  }

  #createRegistration(warn: (message: string) => void): Registration {
    const { bus, register, clock, nodeId, nodeName, shared, processes, life } = this.#options;
    return new Registration({
      register,
      clock,
      nodeId,
      nodeName,
      mark: bus.createInbox(),
      shared,
      processes,
      life,
      reclaim: () => this.names.reclaim(),
      onReplaced: () => {
        warn(`another process has entered as node ${nodeId}; this one ends its actors`);
        void this.supervisor.close(0);
        this.membership.close();
      },
      log: warn,
    });
  }

  /** As this node, or as a detached actor that it supervises. */
  #serve(bus: Bus, owner: string): Subscription {
    const { namespace } = this.endpoint;
    const serving = [
      serveControl(bus, subjects.node(namespace, owner), (message) =>
        this.#requests.answer(message, bus),
      ),
      serveControl(bus, subjects.locate(namespace, owner), (message) =>
        this.#requests.locate(message),
      ),
    ];
    return {
      unsubscribe: () => {
        for (const each of serving) each.unsubscribe();
      },
    };
  }

  #noteBusTrouble(): void {
    this.endpoint.bus.onStatus((status) => {
      const trouble = describeBusStatus(status);
      if (trouble !== undefined) this.#events.add(trouble);
    });
  }

  /** To other hosts over the bus; to this one over its hub, where that is another. */
  #serveObjects(): readonly ObjectServer[] {
    const { store, objects } = this;
    const { bus, namespace } = this.endpoint;
    const { hub } = this.#options.objects;
    const copyOnce = (address: ObjectAddress) => objects.reader.copyOnce(store, address);
    const hold = (inner: readonly TravellingAddress[]) => objects.hold(inner);
    const common = { namespace, store, copyOnce, hold };
    return (hub ? [bus, hub] : [bus]).map((each) => new ObjectServer({ ...common, bus: each }));
  }

  #createPool(startProcess: StartProcess): ProcessPool {
    const { clock, namespace, nodeId, modules, warmProcesses, log } = this.#options;
    const pool = new ProcessPool({
      boot: { namespace, nodeId },
      startProcess,
      clock,
      idleMax: warmProcesses,
      createSecret: this.#options.createSecret,
      createProcessId: () => {
        this.#lastProcess += 1;
        return `${nodeId}-${this.#lastProcess}`;
      },
      onOutput: (processId, message) => {
        const actor = this.node.actorOn(processId);
        log({ level: 'output', message, ...(actor !== undefined && { actor }) });
      },
      onExit: (processId) => this.store.releaseAll(processId),
    });
    for (const module of modules) pool.allow(module);
    return pool;
  }

  #describe() {
    const { nodeId, nodeName, labels, resources, definitions } = this.#options;
    return {
      nodeId,
      nodeName,
      pid: process.pid,
      labels,
      resources,
      free: this.node.free,
      actorTypes: [...definitions.keys()],
      actors: this.node.actors,
      draining: this.#draining,
    };
  }

  /** Of this node's own modules, and of those that its program has spawned actors of. */
  async #findDefinition(module: string, type: string): Promise<AnyActorDefinition | undefined> {
    const known = this.#options.definitions.get(type);
    if (known !== undefined) return known;
    if (type === queueActor.type) return queueActor;
    return this.#pool?.allows(module) ? findDefinition([module], type) : undefined;
  }

  #noteExit(start: StartMessage, cause: DeathCause): void {
    const incarnation = incarnationOf(start.owner, start.name, start.epoch);
    if (start.owner === this.endpoint.nodeId) {
      this.supervisor.noteExit(incarnation, cause);
      return;
    }
    const bytes = encodeMessage({ kind: 'exited', incarnation, secret: start.secret, cause });
    const subject = subjects.node(this.endpoint.namespace, start.owner);
    const options = { timeoutMs: EXIT_REPORT_MS, absentMs: EXIT_REPORT_MS };
    requestControl(this.endpoint, subject, 'done', { bytes }, options).catch(() => {
      // The owner is gone, and with it whoever wanted to know.
    });
  }
}
