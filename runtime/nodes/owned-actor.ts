import { ActorDiedError, type DeathCause } from '../../errors.ts';
import type { AnyActorDefinition } from '../actor.ts';
import type { ActorAddress } from '../calls/handle.ts';
import { incarnationOf, isDetachedOwner } from '../wire/address.ts';
import type { ActorStatus, StateMessage } from '../wire/life-messages.ts';
import { LEASE_MS } from './leases.ts';
import type { SpawnPlan } from './spawn-options.ts';

/** Restarts are counted within this window: an actor that lived longer starts with a clean slate. */
const RESTART_WINDOW_MS = 60_000;
const RESTART_BACKOFF_MS_MAX = 10_000;
/** A supervisor tells fewer news of a detached actor between two of its writes to the register. */
const NEWS_PER_REVISION = 1_000;

/** What an owner knows of one actor: its plan, its present life and its past restarts. */
export class OwnedActor {
  readonly definition: AnyActorDefinition;
  readonly plan: SpawnPlan;
  readonly address: ActorAddress;
  /** For `create`; handles inside are plain data. */
  readonly options: unknown;
  epoch = 1;
  nodeId = '';
  /** Of the present life: who runs it has it too. */
  secret: string | undefined;
  pid = 0;
  status: ActorStatus = 'restarting';
  #released = false;
  /** Its end was asked for, for this reason: no restart follows. */
  endWish: string | undefined;
  /** The store holds a state that a next life goes on from. */
  hasCheckpoint: boolean;
  cause: DeathCause | undefined;
  /** Its name was asked for and is in the register; others find it by that. */
  readonly named: boolean;
  /** While its name is being claimed: who turns out to have it, if not this actor. */
  holder: Promise<ActorAddress | undefined> | undefined;
  /** An earlier life, or what it vouched for, may act until then, on the owner's clock. */
  actsUntil = 0;
  /** The incarnation that spawned it, if an actor did: this one ends with that. */
  parent: string | undefined;
  /** It was planted, and none of its lives has begun yet. */
  isNew = false;
  /** Since it was spawned. */
  restarts = 0;
  /** When it got its present status, on the owner's clock. */
  changedAt = 0;
  /** The present life ended before its start was answered. */
  exitedEarly: DeathCause | undefined;
  /** Aborts when the present life ends. */
  life: AbortController = new AbortController();
  /** Aborts when no further life is wanted. */
  readonly ending: AbortController = new AbortController();
  #version = 1;
  /** The latest checkpoint of the present life. */
  #checkpoint: { readonly number: number; readonly saved: Promise<void> } | undefined;
  #restarts: number[] = [];
  readonly #dead = Promise.withResolvers<void>();

  constructor(
    definition: AnyActorDefinition,
    plan: SpawnPlan,
    address: ActorAddress,
    options: unknown,
    named: boolean,
  ) {
    this.definition = definition;
    this.plan = plan;
    this.address = address;
    this.options = options;
    this.named = named;
    this.hasCheckpoint = plan.resume === true;
  }

  /** Another node goes on with it: its end here is none, and no life follows here. */
  get released(): boolean {
    return this.#released;
  }

  release(): void {
    this.#released = true;
    this.ending.abort(this.diedError());
  }

  get detached(): boolean {
    return isDetachedOwner(this.address.owner);
  }

  /** Goes on with an actor of another supervisor, or under a later proof: later news have greater numbers. */
  countFrom(revision: number): void {
    this.#version = Math.max(this.#version, revision * NEWS_PER_REVISION);
  }

  get incarnation(): string {
    return incarnationOf(this.address.owner, this.address.name, this.epoch);
  }

  /** Takes the place of a dead actor of the same name: its numbers go on, so that none repeats. */
  follow(before: OwnedActor): void {
    this.epoch = before.epoch + 1;
    this.#version = before.#version + 1;
  }

  beginLife(nodeId: string, secret: string): void {
    this.nodeId = nodeId;
    this.secret = secret;
    this.exitedEarly = undefined;
    this.#checkpoint = undefined;
    this.life = new AbortController();
  }

  /** The present life has just ended. What its word let act does so for a last lease. */
  noteEnd(now: number): void {
    if (this.plan.vouches) this.actsUntil = Math.max(this.actsUntil, now + LEASE_MS);
  }

  /**
   * Saves the present life's checkpoint `number`. One that comes again, or after a later one, is not
   * saved but answered as the later one is.
   */
  saveOnce(number: number, save: () => Promise<void>): Promise<void> {
    if (this.#checkpoint === undefined || number > this.#checkpoint.number) {
      this.#checkpoint = { number, saved: save() };
    }
    return this.#checkpoint.saved;
  }

  /** Resolves when the actor is dead for good. */
  get dead(): Promise<void> {
    return this.#dead.promise;
  }

  get state(): StateMessage {
    return {
      kind: 'state',
      owner: this.address.owner,
      name: this.address.name,
      version: this.#version,
      status: this.status,
      epoch: this.epoch,
      nodeId: this.nodeId,
      ...(this.cause && { cause: this.cause }),
    };
  }

  enter(status: ActorStatus, cause?: DeathCause): void {
    this.status = status;
    if (cause) this.cause = cause;
    this.#version += 1;
    if (status === 'running' || status === 'moving') return;
    this.life.abort(this.diedError());
    if (status === 'restarting') return;
    this.ending.abort(this.diedError());
    this.#dead.resolve();
  }

  /** How long to wait before the next restart, or undefined when the limit is reached. */
  nextRestart(now: number): number | undefined {
    const { maxRestarts, restartBackoffMs } = this.plan;
    this.#restarts = this.#restarts.filter((at) => now - at < RESTART_WINDOW_MS);
    if (this.#restarts.length >= maxRestarts) return undefined;
    const backoffMs = restartBackoffMs * 2 ** Math.min(this.#restarts.length, 30);
    this.#restarts.push(now);
    this.restarts += 1;
    return Math.min(backoffMs, RESTART_BACKOFF_MS_MAX);
  }

  diedError(): ActorDiedError {
    const cause = this.cause ?? { kind: 'stopped', message: 'it was stopped', lastOutput: [] };
    const { name } = this.address;
    return new ActorDiedError(`actor ${name} died: ${cause.message}`, name, cause);
  }
}
