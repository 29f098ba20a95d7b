import { ActorDiedError, DeadlineError, type DeathCause, MailboxFullError } from '../../errors.ts';
import { incarnationOf } from '../wire/address.ts';
import type { StateMessage } from '../wire/life-messages.ts';
import { CallDeadlines } from './call-deadlines.ts';
import type { Endpoint } from './endpoint.ts';
import type { ActorAddress, CallPath } from './handle.ts';
import { IncarnationLink, type IncarnationMessage } from './incarnation-link.ts';
import { type OutgoingCall, PendingCall } from './pending-call.ts';
import type { ActorChange, ActorListener } from './watch.ts';

/** Calls kept on this side while the actor is being located or restarted. */
const WAITING_CALLS_MAX = 1024;
/** A silent owner is asked again when a call comes so long after it was given up. */
const DOUBT_AFTER_MS = 5_000;
/** Ticks of a second after which the owner is asked what the waiting calls wait for. */
const ASK_TICKS = 2;
/** Seconds between questions after an actor that is watched: announcements can get lost. */
const WATCH_TICKS = 5;

export interface PeerOptions {
  readonly address: ActorAddress;
  readonly subject: string;
  /** Where this process gets its answers. */
  readonly inbox: string;
  readonly endpoint: Endpoint;
  readonly path: CallPath;
  /** Wants the owner's word on the actor, through `apply`. */
  locate(peer: Peer): void;
  /** Something is open: wants `tick` each second. */
  onBusy(): void;
  /** Answers of `incarnation` belong to this peer from now on, those of the one before no more. */
  onIncarnation(peer: Peer, incarnation: string, before: string | undefined): void;
}

/**
 * One actor as seen by its callers in this process. Calls go to its present life; when that ends,
 * what it owed fails with the cause of death, or waits for the next one if it is idempotent.
 */
export class Peer {
  readonly #options: PeerOptions;
  readonly #deadlines: CallDeadlines;
  #link: IncarnationLink | undefined;
  #waiting: PendingCall[] = [];
  #status: 'unknown' | StateMessage['status'] = 'unknown';
  #version = 0;
  #epoch = 0;
  readonly #listeners = new Set<ActorListener>();
  #watchTicks = 0;
  #cause: DeathCause | undefined;
  #presumedDeadAt: number | undefined;
  /** Since calls began to wait, or since the owner was asked about it. */
  #waitingTicks = 0;

  constructor(options: PeerOptions) {
    this.#options = options;
    const { clock } = options.endpoint;
    this.#deadlines = new CallDeadlines(
      clock,
      () => [...(this.#link?.inFlight ?? []), ...this.#waiting],
      (pending) => this.#expire(pending),
    );
  }

  /** Nothing is open: leaves no timer behind. */
  rest(): void {
    this.#deadlines.rest();
  }

  get address(): ActorAddress {
    return this.#options.address;
  }

  get incarnation(): string | undefined {
    return this.#link?.incarnation;
  }

  /** Nothing is open or waiting. */
  get quiet(): boolean {
    if (this.#waiting.length > 0 || this.#listeners.size > 0) return false;
    return this.#link?.quiet !== false;
  }

  call(outgoing: OutgoingCall): Promise<unknown> {
    const { signal, timeoutMs } = outgoing;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#status === 'dead' && !this.#doubtDeath()) {
      return Promise.reject(this.#diedError(outgoing.method));
    }
    const { clock, tracing } = this.#options.endpoint;
    return new Promise((resolve, reject) => {
      const now = clock.now();
      const pending = new PendingCall(outgoing, now + timeoutMs, resolve, reject);
      pending.span = tracing?.begin(this.address, outgoing.method);
      if (pending.span !== undefined) outgoing.stream?.reader.trace(pending.span);
      try {
        if (this.#link && this.#status === 'running') this.#link.send(pending, now);
        else this.#wait(pending);
      } catch (error) {
        pending.reject(error);
        return;
      }
      this.#deadlines.watch(pending);
      if (signal !== undefined) {
        pending.onAbort = () => this.#abandon(pending, signal.reason);
        signal.addEventListener('abort', pending.onAbort, { once: true });
      }
      this.#options.onBusy();
    });
  }

  /** The owner's word on the actor; what is older than the last one is ignored. */
  apply(state: StateMessage): void {
    if (state.version <= this.#version) return;
    this.#version = state.version;
    this.#status = state.status;
    this.#cause = state.cause ?? this.#cause;
    this.#epoch = state.epoch;
    if (state.status === 'running') this.#beginLife(state.epoch);
    // What is in flight to an actor that moves is answered where it was.
    else if (state.status !== 'moving') this.#endLife();
    this.#tell();
  }

  /** The owner is gone, and with it whatever it owned. */
  applyDeath(cause: DeathCause): void {
    this.#status = 'dead';
    this.#cause = cause;
    this.#endLife();
    this.#tell();
  }

  /** The owner is silent. It may yet come back, so calls of later ask for it again. */
  presumeDead(cause: DeathCause): void {
    this.#presumedDeadAt = this.#options.endpoint.clock.now();
    this.applyDeath(cause);
  }

  receive(message: IncarnationMessage): void {
    if (message.of === this.#link?.incarnation) this.#link.receive(message);
  }

  /** Once a second while not quiet. */
  tick(): void {
    const silent = this.#link?.tick() === true;
    // The announcement that ends the wait may have been lost.
    this.#waitingTicks = this.#waiting.length === 0 ? 0 : this.#waitingTicks + 1;
    this.#watchTicks = this.#listeners.size === 0 ? 0 : this.#watchTicks + 1;
    const asks = this.#waitingTicks >= ASK_TICKS || this.#watchTicks >= WATCH_TICKS;
    if (!silent && !asks) return;
    this.#waitingTicks = 0;
    this.#watchTicks = 0;
    this.#options.locate(this);
  }

  /** Tells `listener` how the actor is, and of each change; the result ends that. */
  watch(listener: ActorListener): () => void {
    this.#listeners.add(listener);
    this.#options.onBusy();
    const doubted = this.#status === 'dead' && this.#doubtDeath();
    const status = this.#status === 'moving' ? 'running' : this.#status;
    if (status !== 'unknown' && !doubted) listener.onChange(this.#change(status));
    return () => this.#listeners.delete(listener);
  }

  close(error: Error): void {
    const pendings = [...(this.#link?.end(error) ?? []), ...this.#waiting];
    this.#waiting = [];
    for (const pending of pendings) pending.reject(error);
    this.rest();
    for (const listener of [...this.#listeners]) listener.onClose(error);
  }

  #tell(): void {
    if (this.#status === 'unknown' || this.#status === 'moving') return;
    const change = this.#change(this.#status);
    for (const listener of [...this.#listeners]) listener.onChange(change);
  }

  #change(event: ActorChange['event']): ActorChange {
    const cause = event === 'running' ? undefined : this.#cause;
    return { event, epoch: this.#epoch, ...(cause && { cause }) };
  }

  /** Whether a death that nobody has seen is old enough to be looked into again. */
  #doubtDeath(): boolean {
    const now = this.#options.endpoint.clock.now();
    if (this.#presumedDeadAt === undefined || now - this.#presumedDeadAt < DOUBT_AFTER_MS) {
      return false;
    }
    this.#presumedDeadAt = undefined;
    this.#status = 'unknown';
    // The owner's last word counts again, also when nothing has changed since.
    this.#version = 0;
    this.#options.locate(this);
    return true;
  }

  #beginLife(epoch: number): void {
    const { address, ...options } = this.#options;
    const { owner, name } = address;
    const incarnation = incarnationOf(owner, name, epoch);
    const before = this.#link?.incarnation;
    if (incarnation !== before) {
      this.#endLife();
      this.#link = new IncarnationLink({ ...options, incarnation, name });
      this.#options.onIncarnation(this, incarnation, before);
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const pending of waiting) {
      try {
        this.#link!.send(pending);
      } catch (error) {
        pending.reject(error);
      }
    }
  }

  /** What is idempotent waits for the next life, ahead of what waited before; the rest fails. */
  #endLife(): void {
    const again: PendingCall[] = [];
    for (const pending of this.#link?.end(this.#diedError('a stream')) ?? []) {
      if (pending.outgoing.idempotent && this.#status !== 'dead') {
        pending.unsend();
        again.push(pending);
      } else {
        pending.reject(this.#diedError(pending.outgoing.method));
      }
    }
    this.#waiting = [...again, ...this.#waiting];
    if (this.#status !== 'dead') return;
    for (const pending of this.#waiting) pending.reject(this.#diedError(pending.outgoing.method));
    this.#waiting = [];
  }

  #wait(pending: PendingCall): void {
    if (this.#waiting.length >= WAITING_CALLS_MAX) {
      throw new MailboxFullError(
        `${WAITING_CALLS_MAX} calls wait for actor ${this.address.name}, which is ` +
          `${this.#describeStatus()}; await some of them first`,
      );
    }
    pending.takeSnapshot();
    this.#waiting.push(pending);
  }

  #expire(pending: PendingCall): void {
    const { method, timeoutMs } = pending.outgoing;
    const text =
      `${method} of actor ${this.address.name} got no answer within ${timeoutMs} ms; ` +
      `the actor is ${this.#describeStatus()}`;
    const { lastError } = pending;
    const options = lastError === undefined ? {} : { cause: lastError };
    this.#abandon(pending, new DeadlineError(text, options));
  }

  #abandon(pending: PendingCall, reason: unknown): void {
    pending.reject(reason);
    if (this.#link?.abandon(pending)) return;
    this.#waiting = this.#waiting.filter((waiting) => waiting !== pending);
  }

  #diedError(method: string): ActorDiedError {
    const { name } = this.address;
    const cause = this.#cause ?? { kind: 'error', message: 'for an unknown cause', lastOutput: [] };
    const when = this.#status === 'dead' ? 'is dead' : 'died';
    const text = `actor ${name} ${when}, so ${method} can't be answered: ${cause.message}`;
    return new ActorDiedError(text, name, cause);
  }

  #describeStatus(): string {
    return this.#status === 'unknown' ? 'not located yet' : this.#status;
  }
}
