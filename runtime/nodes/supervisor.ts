import { type DeathCause, NoResponderError, PlacementError } from '../../errors.ts';
import { type ActorDefinition, type AnyActorDefinition, checkDefinition } from '../actor.ts';
import type { Subscription } from '../bus/bus.ts';
import type { Caller } from '../calls/caller.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { type ActorAddress, packHandles } from '../calls/handle.ts';
import { checkOptions } from '../calls/input-check.ts';
import { delay } from '../clock.ts';
import type { ReplicatedCheckpoints } from '../registry/replicated-checkpoints.ts';
import { detachedOwner } from '../wire/address.ts';
import type { ExitedMessage } from '../wire/life-messages.ts';
import type { ObjectAddress } from '../wire/object-messages.ts';
import { type ActorEvent, ActorLives, HEARSAY_MS } from './actor-lives.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { DetachedActors, toDetachedRecord } from './detached-actors.ts';
import { Launcher, type LauncherOptions } from './launcher.ts';
import { Locator } from './locator.ts';
import type { Orphan } from './name-record.ts';
import { fullName } from './name-scope.ts';
import { type Names, nameTaken } from './names.ts';
import { START_TIMEOUT_MS } from './node.ts';
import { OwnedActor } from './owned-actor.ts';
import { OwnedActors } from './owned-actors.ts';
import { OwnedCheckpoints } from './owned-checkpoints.ts';
import type { NodeInfo, Placement } from './placement.ts';
import type { FormerNode } from './registration.ts';
import {
  checkSpawnOptions,
  planSpawn,
  type SpawnOptions,
  type SpawnPlan,
} from './spawn-options.ts';

/** An actor whose parent is gone may take so long to dispose of what it holds. */
const CHILD_STOP_MS = 3_000;

/** What came of spawning. */
export interface Spawned {
  readonly address: ActorAddress;
  /** False for a detached actor, and for one that was there already. */
  readonly owned: boolean;
}

export interface SupervisorOptions
  extends Omit<LauncherOptions, 'actors' | 'whereIs' | 'beforeLife' | 'loadCheckpoint'> {
  readonly checkpoints: CheckpointStore;
  /** For detached actors; absent where nothing outlives this process. */
  readonly replicated: ReplicatedCheckpoints | undefined;
  /** Answers as this owner, until it is told to stop. */
  serve(owner: string): Subscription;
  readonly caller: Caller;
  /** To this node's own processes without the server, where there is one. */
  readonly home: Endpoint | undefined;
  readonly isolation: 'process' | 'inline';
  /** Of the names of actors that no actor spawns. */
  readonly scope: string | undefined;
  readonly names: Names;
  /** Also of a node that is gone. */
  nodeName(nodeId: string): string;
  emit(event: ActorEvent): void;
  /** No node can take the actor; `message` has each one's reason. */
  onRefused(address: ActorAddress, message: string): void;
  log(message: string): void;
}

/** Owns actors: places and starts them, keeps their checkpoints, restarts them when they die. */
export class Supervisor {
  readonly checkpoints: OwnedCheckpoints;
  readonly locator: Locator;
  readonly #options: SupervisorOptions;
  readonly #actors = new OwnedActors();
  /** Incarnations that have spawned actors. */
  readonly #parents = new Set<string>();
  readonly #launcher: Launcher;
  readonly #lives: ActorLives;
  readonly #detached: DetachedActors;
  #lastNumber = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#launcher = new Launcher({
      ...options,
      actors: this.#actors,
      whereIs: (address, timeoutMs) => this.locator.whereIs(address, timeoutMs),
      beforeLife: (actor) => this.#detached.recordLife(actor),
      loadCheckpoint: (actor) => this.checkpoints.load(actor),
    });
    const { endpoint, home, caller, emit, onRefused } = options;
    this.checkpoints = new OwnedCheckpoints({ ...options, actors: this.#actors });
    this.locator = new Locator({
      endpoint,
      actors: this.#actors,
      serves: (name) => this.#detached.serves(name),
    });
    const launcher = this.#launcher;
    const onDead = (actor: OwnedActor): void => this.#forget(actor);
    this.#lives = new ActorLives({ endpoint, home, caller, launcher, emit, onRefused, onDead });
    const { names, nodeName, serve, log } = options;
    const [actors, lives] = [this.#actors, this.#lives];
    this.#detached = new DetachedActors({
      endpoint,
      names,
      nodeName,
      actors,
      launcher,
      lives,
      serve,
      log,
    });
  }

  /**
   * Starts an actor and resolves when it takes calls.
   * @param parent the incarnation that the actor ends with
   * @throws PlacementError with each node's reason, NameTakenError, or what creating it threw;
   * TypeError or RangeError for an option that can't be used.
   */
  async spawn<Options, Actor>(
    definition: ActorDefinition<Options, Actor>,
    options: Options,
    spawnOptions: SpawnOptions,
    parent?: string,
  ): Promise<Spawned> {
    checkDefinition(definition);
    checkSpawnOptions(spawnOptions);
    const { endpoint, isolation } = this.#options;
    if (definition.options !== undefined) {
      await checkOptions(definition.options, options, `create of actor type ${definition.type}`);
    }
    const scope = parent === undefined ? this.#options.scope : this.#options.node.scopeOf(parent);
    const name = fullName(scope, spawnOptions.name ?? this.#nextName(definition.type));
    const named = spawnOptions.name !== undefined;
    const plan = planSpawn(spawnOptions, name, isolation);
    const methods = definition.methods as ActorAddress['methods'];
    const detached = plan.lifetime === 'detached' && this.#options.replicated !== undefined;
    const owner = detached ? detachedOwner(name) : endpoint.nodeId;
    const address = { name, type: definition.type, owner, methods };
    const known = this.#actors.get(name);
    // A child of a parent's earlier life may still be ending.
    if (known?.endWish !== undefined) await known.dead;
    if (known !== undefined && known.status !== 'dead') {
      return this.#share((await known.holder) ?? known.address, plan, definition.type);
    }
    const unknown = definition as unknown as AnyActorDefinition;
    const addresses: ObjectAddress[] = [];
    const packed = packHandles(options, { forMs: START_TIMEOUT_MS, addresses });
    const actor = new OwnedActor(unknown, plan, address, packed, named);
    // A detached actor outlives also the actor that spawned it.
    if (!actor.detached) actor.parent = parent;
    if (actor.parent !== undefined) this.#parents.add(actor.parent);
    this.#actors.add(actor);
    try {
      const record = detached ? toDetachedRecord(actor) : undefined;
      if (named) actor.holder = this.#options.names.claim(address, record);
      const holder = await actor.holder;
      if (holder !== undefined) {
        this.#actors.takeBack(actor, known);
        return this.#share(holder, plan, definition.type);
      }
      if (detached) this.#detached.takeOver(actor);
      // Each life is created with the same options.
      if (addresses.length > 0) void actor.dead.then(this.#options.caller.keeper.retain(addresses));
      await this.#launcher.launch(actor);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof PlacementError) this.#options.onRefused(address, message);
      if (this.#actors.get(name) === actor) {
        this.#lives.announce(actor, 'dead', { kind: 'error', message, lastOutput: [] });
      }
      throw error;
    }
    if (actor.status === 'dead') {
      // Stopped while it started.
      void this.#launcher.kill(actor.nodeId, actor.incarnation);
      throw actor.diedError();
    }
    this.#lives.announce(actor, 'running');
    this.#lives.emit(actor, 'started');
    if (actor.parent !== undefined && !this.#options.node.has(actor.parent)) {
      await this.#lives.stop(actor, CHILD_STOP_MS, 'its parent ended while it started');
      throw actor.diedError();
    }
    return { address, owned: !actor.detached };
  }

  /** The name is an actor's already: its address, if that is what is wanted. */
  #share(address: ActorAddress, { name, getIfExists }: SpawnPlan, type: string): Spawned {
    if (getIfExists && address.type === type) return { address, owned: false };
    throw nameTaken(name, this.#options.endpoint.namespace, address);
  }

  get owned(): readonly OwnedActor[] {
    return this.#actors.all;
  }

  /** Where this system's actors live, or are being started. */
  get actorNodes(): readonly string[] {
    return this.#actors.living.map(({ nodeId }) => nodeId).filter((nodeId) => nodeId !== '');
  }

  /** Somebody on the bus says that an incarnation is gone: believed of who was told its secret. */
  hearExit({ incarnation, secret, cause }: ExitedMessage): void {
    if (this.#actors.ofIncarnation(incarnation)?.secret === secret)
      this.noteExit(incarnation, cause);
  }

  /** An incarnation is gone. */
  noteExit(incarnation: string, cause: DeathCause): void {
    const actor = this.#actors.ofIncarnation(incarnation);
    if (actor === undefined || actor.released) return;
    actor.noteEnd(this.#options.endpoint.clock.now());
    // During a start the start itself fails, or looks at this when it is done.
    if (actor.status === 'running' || actor.status === 'moving')
      this.#lives.noteDeath(actor, cause);
    else actor.exitedEarly = cause;
  }

  noteNodeLost(node: NodeInfo, why: string): void {
    const { endpoint, outstandingMs } = this.#options;
    const message = `its node ${node.nodeName} (${node.nodeId}) ${why}`;
    const cause: DeathCause = { kind: 'node-lost', message, lastOutput: [] };
    this.#launcher.forget(node.nodeId);
    for (const actor of this.#actors.living) {
      if (actor.nodeId !== node.nodeId) continue;
      actor.actsUntil = endpoint.clock.now() + outstandingMs(node.nodeId);
      if (actor.status === 'running' || actor.status === 'moving')
        this.#lives.noteDeath(actor, cause);
      else actor.life.abort(new NoResponderError(message));
    }
  }

  /** Whether a node that shows itself has ended what it must not run any more. */
  isClear(nodeId: string): boolean {
    return this.#launcher.isClear(nodeId);
  }

  /** The name belongs to another actor now: ours must not act any more. */
  noteNameLost(name: string, why: string): void {
    const actor = this.#actors.get(name);
    if (actor === undefined || actor.status === 'dead') return;
    actor.endWish = why;
    void this.#launcher.kill(actor.nodeId, actor.incarnation);
    const cause: DeathCause = { kind: 'fenced', message: why, lastOutput: [] };
    if (actor.detached) {
      // It lives on elsewhere; only this life of it is over.
      actor.release();
      this.#detached.leave(name);
      this.#actors.remove(name);
      actor.enter('restarting', cause);
      return;
    }
    this.#lives.announce(actor, 'dead', cause);
    this.#lives.emit(actor, 'died');
  }

  /** @param why in words: the cause of its death */
  async stop(name: string, timeoutMs: number, why = 'it was stopped'): Promise<void> {
    const actor = this.#actors.get(name);
    if (actor === undefined || actor.status === 'dead') return;
    await this.#lives.stop(actor, timeoutMs, why);
  }

  /** A parent is gone, for `cause` in words: what it spawned ends. */
  endChildrenOf(parent: string, cause: string): void {
    // Most actors have no children, and there may be thousands of them.
    if (!this.#parents.has(parent)) return;
    this.#parents.delete(parent);
    const wish = this.#actors.ofIncarnation(parent)?.endWish;
    for (const actor of this.#actors.living) {
      if (actor.parent !== parent) continue;
      void this.#lives.stop(actor, CHILD_STOP_MS, `its parent ended: ${wish ?? cause}`);
    }
  }

  /** Asks every actor to finish and to save its state. Reports those that did not in time. */
  async drain(timeoutMs: number): Promise<void> {
    // Detached ones are drained when they are left to another node.
    const actors = this.#actors.living.filter(({ detached }) => !detached);
    const drained = await Promise.allSettled(
      actors.map((actor) => this.#lives.control(actor, 'drain', timeoutMs)),
    );
    drained.forEach((result, index) => {
      if (result.status === 'fulfilled') return;
      const { name } = actors[index]!.address;
      this.#options.log(`actor ${name} was not drained: ${result.reason}`);
    });
  }

  /**
   * Takes an actor away from a node that leaves: it finishes what it has in hand, saves its state and
   * goes on from that elsewhere. Calls meanwhile wait. Where no other node takes it, it only saves.
   */
  async move(name: string, incarnation: string, timeoutMs: number): Promise<void> {
    const actor = this.#actors.get(name);
    if (actor?.incarnation !== incarnation || actor.status !== 'running') return;
    const { clock } = this.#options.endpoint;
    if (!(await this.#launcher.hasPlace(actor))) {
      await this.#lives.control(actor, 'drain', timeoutMs);
      return;
    }
    const cause: DeathCause = { kind: 'node-lost', message: 'its node leaves', lastOutput: [] };
    const { life } = actor;
    this.#lives.announce(actor, 'moving');
    try {
      // What callers sent before they heard of the move is still to be taken.
      await delay(clock, HEARSAY_MS, life.signal);
      await this.#lives.control(actor, 'drain', timeoutMs * 0.8, true);
    } catch (error) {
      this.#options.log(`actor ${name} moves from its last checkpoint: ${error}`);
    }
    if (actor.incarnation !== incarnation || (actor.status as string) !== 'moving') return;
    this.#launcher.fence(actor.nodeId, incarnation);
    const { nodeId } = actor;
    this.#lives.announce(actor, 'restarting', cause);
    await this.#launcher.kill(nodeId, incarnation);
    actor.noteEnd(clock.now());
    await this.#lives.restart(actor, 0);
  }

  /** Ends its own actors; detached ones save their state and are left to another node. */
  async close(timeoutMs: number): Promise<void> {
    const actors = this.#actors.living;
    await Promise.all(
      actors
        .filter(({ detached }) => detached)
        .map((actor) => this.#detached.release(actor, timeoutMs)),
    );
    this.#lives.closing = true;
    await Promise.all(
      this.#actors.living.map((actor) => this.#lives.stop(actor, timeoutMs, 'it was stopped')),
    );
  }

  /** Where an orphan could live, as far as this node knows. */
  placesOf({ record: { address, detached } }: Orphan): Promise<Placement> {
    return this.#launcher.placesOf({ address, plan: detached.plan });
  }

  /** Goes on with a detached actor whose supervisor is gone, from its last checkpoint. */
  adopt(orphan: Orphan, definition: AnyActorDefinition, former: FormerNode): void {
    this.#detached.adopt(orphan, definition, former);
  }

  #forget(actor: OwnedActor): void {
    const { names, log } = this.#options;
    const { named, detached, address } = actor;
    const { name } = address;
    this.#actors.noteDead(actor);
    if (detached) this.#detached.leave(name);
    if (!named) return;
    names.free(name, async () => {
      if (!detached) return;
      try {
        await this.checkpoints.remove(actor);
      } catch (error) {
        log(`the state of ${name} was not removed: ${error}`);
      }
    });
  }

  #nextName(type: string): string {
    this.#lastNumber += 1;
    const { shared, endpoint } = this.#options;
    const name = `${type.split('/').at(-1)}-${this.#lastNumber}`;
    return shared ? `${name}-${endpoint.nodeId}` : name;
  }
}
