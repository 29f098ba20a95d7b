import type { DeathCause } from '../../errors.ts';
import type { AnyActorDefinition } from '../actor.ts';
import type { Subscription } from '../bus/bus.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { delay } from '../clock.ts';
import { type ActorLives, HEARSAY_MS } from './actor-lives.ts';
import type { Launcher } from './launcher.ts';
import type { DetachedRecord, Orphan } from './name-record.ts';
import type { Names } from './names.ts';
import { OwnedActor } from './owned-actor.ts';
import type { OwnedActors } from './owned-actors.ts';
import type { FormerNode } from './registration.ts';

export interface DetachedActorsOptions {
  readonly endpoint: Endpoint;
  readonly names: Names;
  /** Also of a node that is gone. */
  nodeName(nodeId: string): string;
  readonly actors: OwnedActors;
  readonly launcher: Launcher;
  readonly lives: ActorLives;
  /** Answers requests to this owner, until it is told to stop. */
  serve(owner: string): Subscription;
  log(message: string): void;
}

/** The detached actors that this node supervises: taken over from another one, and left to another one. */
export class DetachedActors {
  readonly #options: DetachedActorsOptions;
  /** Of each of them. */
  readonly #serving = new Map<string, Subscription>();

  constructor(options: DetachedActorsOptions) {
    this.#options = options;
  }

  /** Goes on with a detached actor whose supervisor, as `former` says, is gone: from its last checkpoint. */
  adopt({ record }: Orphan, definition: AnyActorDefinition, former: FormerNode): void {
    const { address, detached, node } = record;
    const { plan, options, epoch, nodeId, restarts } = detached;
    const actor = new OwnedActor(definition, plan, address, options, true);
    actor.epoch = epoch;
    actor.restarts = restarts;
    actor.hasCheckpoint = true;
    actor.nodeId = nodeId;
    this.#options.actors.put(actor);
    this.takeOver(actor);
    if (epoch === 0) {
      // Nobody has begun it yet.
      actor.hasCheckpoint = false;
      actor.isNew = true;
      void this.#options.lives.restart(actor, 0);
      return;
    }
    // Else its lease had lapsed before it could be adopted; now it is to end.
    const { state, nodeName = this.#options.nodeName(node) } = former;
    if (state !== 'lapsed') actor.noteEnd(this.#options.endpoint.clock.now());
    this.#options.launcher.fence(nodeId, actor.incarnation);
    void this.#options.launcher.kill(nodeId, actor.incarnation);
    const how = state === 'left' ? 'has left' : 'is gone';
    const message = `node ${nodeName}, which supervised it, ${how}`;
    const cause: DeathCause = { kind: 'node-lost', message, lastOutput: [] };
    if (state === 'left') {
      // It was drained there: moving is no death, and counts as none.
      this.#options.lives.announce(actor, 'restarting', cause);
      void this.#options.lives.restart(actor, 0);
    } else this.#options.lives.noteDeath(actor, cause);
  }

  /** From now on this node answers as the owner of a detached actor. */
  takeOver(actor: OwnedActor): void {
    const { name, owner } = actor.address;
    actor.countFrom(this.#options.names.revisionOf(name));
    this.#serving.get(name)?.unsubscribe();
    this.#serving.set(name, this.#options.serve(owner));
  }

  /** Whether this node answers as the owner `@<name>`. */
  serves(name: string): boolean {
    return this.#serving.has(name);
  }

  /** The actor's node leaves in an orderly way: another one goes on with it. */
  async release(actor: OwnedActor, timeoutMs: number): Promise<void> {
    const { name } = actor.address;
    if (actor.status !== 'restarting') await this.#finish(actor, Math.max(1, timeoutMs * 0.8));
    actor.release();
    this.#options.names.release(name);
    const message = 'its node leaves, and another one takes it over';
    const cause: DeathCause = { kind: 'node-lost', message, lastOutput: [] };
    this.#options.lives.announce(actor, 'restarting', cause);
    this.leave(name);
    await this.#options.launcher.kill(actor.nodeId, actor.incarnation);
    this.#options.actors.remove(name);
  }

  async #finish(actor: OwnedActor, timeoutMs: number): Promise<void> {
    const { endpoint, lives, log } = this.#options;
    lives.announce(actor, 'moving');
    // What callers sent before they heard of it is still to be taken.
    await delay(endpoint.clock, HEARSAY_MS);
    try {
      await lives.control(actor, 'drain', timeoutMs, true);
    } catch (error) {
      log(`actor ${actor.address.name} was not drained: ${error}`);
    }
  }

  /** Another node may answer as its owner. */
  leave(name: string): void {
    this.#serving.get(name)?.unsubscribe();
    this.#serving.delete(name);
  }

  /** Before each life: where it is to be, and as what. */
  async recordLife(actor: OwnedActor): Promise<void> {
    if (!actor.detached) return;
    await this.#options.names.amend(actor.address, toDetachedRecord(actor));
    actor.countFrom(this.#options.names.revisionOf(actor.address.name));
  }
}

export function toDetachedRecord({
  plan,
  options,
  epoch,
  nodeId,
  restarts,
}: OwnedActor): DetachedRecord {
  return { plan, ...(options !== undefined && { options }), epoch, nodeId, restarts };
}
