import { type DeathCause, PlacementError } from '../../errors.ts';
import type { Caller } from '../calls/caller.ts';
import { requestControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import type { ActorAddress } from '../calls/handle.ts';
import { delay } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import type { StateMessage } from '../wire/life-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { Launcher } from './launcher.ts';
import type { OwnedActor } from './owned-actor.ts';

/** A detached actor that no node can take looks so often for one that can. */
const PLACE_AGAIN_MS = 2_000;
/** News of an actor has reached its callers by then. */
export const HEARSAY_MS = 100;

export interface ActorEvent {
  readonly event: 'started' | 'restarted' | 'died';
  readonly actor: string;
  readonly actorType: string;
  readonly node: string;
  readonly pid: number;
  readonly epoch: number;
  readonly cause?: DeathCause;
}

export interface ActorLivesOptions {
  readonly endpoint: Endpoint;
  /** To this node's own processes without the server, where there is one. */
  readonly home: Endpoint | undefined;
  readonly caller: Caller;
  readonly launcher: Launcher;
  emit(event: ActorEvent): void;
  /** No node can take the actor; `message` has each one's reason. */
  onRefused(address: ActorAddress, message: string): void;
  /** The actor is dead for good, and everybody has been told. */
  onDead(actor: OwnedActor): void;
}

/** Takes owned actors from life to life: deaths, restarts, stops, and what others hear of them. */
export class ActorLives {
  /** No death is followed by another life any more. */
  closing = false;
  readonly #options: ActorLivesOptions;

  constructor(options: ActorLivesOptions) {
    this.#options = options;
  }

  /** A life has ended: the next one follows, unless it was to end or has ended too often. */
  noteDeath(actor: OwnedActor, cause: DeathCause): void {
    if (actor.released) return;
    if (actor.endWish !== undefined || this.closing) {
      const message = actor.endWish ?? 'it was stopped';
      this.announce(actor, 'dead', { ...cause, kind: 'stopped', message });
      this.emit(actor, 'died');
      return;
    }
    const delayMs = actor.nextRestart(this.#options.endpoint.clock.now());
    if (delayMs === undefined) {
      const { maxRestarts } = actor.plan;
      const restarts = maxRestarts === 1 ? '1 restart' : `${maxRestarts} restarts`;
      const limit = maxRestarts === 0 ? '' : ` (after ${restarts} within a minute)`;
      this.announce(actor, 'dead', { ...cause, message: cause.message + limit });
      this.emit(actor, 'died');
      return;
    }
    this.announce(actor, 'restarting', cause);
    this.emit(actor, 'died');
    void this.restart(actor, delayMs);
  }

  /** Begins the next life after `delayMs`, and not before the last one can't act any more. */
  async restart(actor: OwnedActor, delayMs: number): Promise<void> {
    try {
      const { clock } = this.#options.endpoint;
      const waitMs = Math.max(delayMs, actor.actsUntil - clock.now());
      await delay(clock, waitMs, actor.ending.signal);
    } catch {
      // Stopped while it waited.
      return;
    }
    actor.epoch += 1;
    try {
      await this.#options.launcher.launch(actor);
    } catch (error) {
      if (actor.status === 'dead' || actor.released) return;
      if (error instanceof PlacementError) {
        this.#options.onRefused(actor.address, error.message);
        // As one whose supervisor is gone: it keeps its state until a node can take it.
        if (actor.detached) return await this.#restartWhenPlaced(actor);
      }
      const message = `it could not be restarted: ${(error as Error).message}`;
      this.noteDeath(actor, { kind: 'error', message, lastOutput: [] });
      return;
    }
    if (actor.status === 'dead' || actor.released) {
      void this.#options.launcher.kill(actor.nodeId, actor.incarnation);
      return;
    }
    this.announce(actor, 'running');
    this.emit(actor, actor.isNew ? 'started' : 'restarted');
    actor.isNew = false;
  }

  async #restartWhenPlaced(actor: OwnedActor): Promise<void> {
    const { endpoint, launcher } = this.#options;
    do {
      try {
        await delay(endpoint.clock, PLACE_AGAIN_MS, actor.ending.signal);
      } catch {
        return;
      }
    } while (!(await launcher.hasPlace(actor).catch(() => false)));
    await this.restart(actor, 0);
  }

  /** Asks the actor to end, `why` in words, and ends it if it doesn't. Resolves when it is dead. */
  async stop(actor: OwnedActor, timeoutMs: number, why: string): Promise<void> {
    actor.endWish ??= why;
    if (actor.status !== 'running') {
      this.announce(actor, 'dead', { kind: 'stopped', message: actor.endWish, lastOutput: [] });
      void this.#options.launcher.kill(actor.nodeId, actor.incarnation);
      return;
    }
    const enough = new AbortController();
    const late = delay(this.#options.endpoint.clock, timeoutMs, enough.signal).catch(() => {});
    // Whether the actor answers or dies of it: what counts is that it is dead in the end.
    this.control(actor, 'stop', timeoutMs).catch(() => {});
    await Promise.race([actor.dead, late]);
    if ((actor.status as string) !== 'dead') {
      await Promise.race([this.#options.launcher.kill(actor.nodeId, actor.incarnation), late]);
      const message = `${actor.endWish}; it did not end within ${timeoutMs} ms and was killed`;
      if ((actor.status as string) !== 'dead') {
        this.announce(actor, 'dead', { kind: 'stopped', message, lastOutput: [] });
        this.emit(actor, 'died');
      }
    }
    enough.abort();
  }

  /** Asks the present life by the system lane. `last`: what callers send from now on is not for it. */
  async control(
    actor: OwnedActor,
    kind: 'drain' | 'stop',
    timeoutMs: number,
    last = false,
  ): Promise<void> {
    const { home } = this.#options;
    const isHere = actor.nodeId === this.#options.endpoint.nodeId;
    // An inline actor is in this process, which only listens on the bus.
    const isNear = isHere && actor.plan.isolation === 'process' && home !== undefined;
    const endpoint = isNear ? home : this.#options.endpoint;
    const to = actor.incarnation;
    const secret = actor.secret ?? '';
    const message = kind === 'drain' ? { kind, to, secret, timeoutMs, last } : { kind, to, secret };
    const parcel = { bytes: encodeMessage(message) };
    const subject = subjects.actor(endpoint.namespace, actor.address.name);
    const options = { timeoutMs, signal: actor.life.signal };
    await requestControl(endpoint, subject, 'done', parcel, options);
  }

  /** Tells all callers where the actor stands now. */
  announce(actor: OwnedActor, status: StateMessage['status'], cause?: DeathCause): void {
    const { endpoint, caller } = this.#options;
    actor.enter(status, cause);
    actor.changedAt = endpoint.clock.now();
    caller.apply(actor.state);
    const subject = subjects.actorState(endpoint.namespace, actor.address.name);
    if (endpoint.link.usable) endpoint.bus.publish(subject, encodeMessage(actor.state));
    if (status === 'dead') this.#options.onDead(actor);
  }

  emit(actor: OwnedActor, event: ActorEvent['event']): void {
    const { address, nodeId, pid, epoch, cause } = actor;
    this.#options.emit({
      event,
      actor: address.name,
      actorType: address.type,
      node: nodeId,
      pid,
      epoch,
      ...(event === 'died' && cause && { cause }),
    });
  }
}
