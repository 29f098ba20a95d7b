import type { OwnedActor } from './owned-actor.ts';
import { hasLabels, type Labels } from './placement.ts';

/** Dead actors are remembered, so that callers learn why they died; beyond so many, the oldest are not. */
const DEAD_KEPT = 4096;

/** The actors of one owner, by name: those that live, and the last ones that died. */
export class OwnedActors {
  readonly #byName = new Map<string, OwnedActor>();
  /** Oldest first. */
  readonly #dead = new Set<OwnedActor>();
  /** The highest epoch of a forgotten actor: no later life may have the number of an earlier one. */
  #forgottenEpoch = 0;

  get(name: string): OwnedActor | undefined {
    return this.#byName.get(name);
  }

  get all(): readonly OwnedActor[] {
    return [...this.#byName.values()];
  }

  get living(): readonly OwnedActor[] {
    return this.all.filter(({ status }) => status !== 'dead');
  }

  /** How many live on a node. */
  countOn(nodeId: string): number {
    let count = 0;
    for (const actor of this.#byName.values()) {
      if (actor.nodeId === nodeId && actor.status !== 'dead') count += 1;
    }
    return count;
  }

  /** Whether one that has all of these labels lives on a node, or is being started there. */
  isLabelledOn(nodeId: string, labels: Labels, except: OwnedActor | undefined): boolean {
    for (const actor of this.#byName.values()) {
      if (actor === except || actor.nodeId !== nodeId || actor.status === 'dead') continue;
      if (hasLabels(actor.plan.labels ?? {}, labels)) return true;
    }
    return false;
  }

  ofIncarnation(incarnation: string): OwnedActor | undefined {
    for (const actor of this.#byName.values()) {
      if (actor.incarnation === incarnation) return actor;
    }
    return undefined;
  }

  /** Gives a new actor its place; its numbers go on from those of an actor before of its name. */
  add(actor: OwnedActor): void {
    const before = this.#byName.get(actor.address.name);
    if (before !== undefined) actor.follow(before);
    else actor.epoch += this.#forgottenEpoch;
    this.put(actor);
  }

  /** Gives an actor its place, whatever its numbers. */
  put(actor: OwnedActor): void {
    const { name } = actor.address;
    const before = this.#byName.get(name);
    if (before !== undefined) this.#dead.delete(before);
    this.#byName.set(name, actor);
    if (actor.status === 'dead') this.noteDead(actor);
  }

  remove(name: string): void {
    const actor = this.#byName.get(name);
    if (actor === undefined) return;
    this.#byName.delete(name);
    this.#dead.delete(actor);
  }

  /** A new actor turns out not to have its name: the one before is there again, if it still was. */
  takeBack(actor: OwnedActor, before: OwnedActor | undefined): void {
    const { name } = actor.address;
    // Meanwhile this node may have adopted the one that has the name.
    if (this.#byName.get(name) !== actor) return;
    if (before === undefined) this.remove(name);
    else this.put(before);
  }

  /** It is dead for good. */
  noteDead(actor: OwnedActor): void {
    const { name } = actor.address;
    if (this.#byName.get(name) !== actor) return;
    this.#dead.add(actor);
    if (this.#dead.size <= DEAD_KEPT) return;
    const [oldest] = this.#dead;
    this.#forgottenEpoch = Math.max(this.#forgottenEpoch, oldest!.epoch);
    this.remove(oldest!.address.name);
  }
}
