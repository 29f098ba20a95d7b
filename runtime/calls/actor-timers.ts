import { type Clock, type ClockTimer, TIMER_MS_MAX } from '../clock.ts';
import type { Lease } from './lease.ts';
import type { Mailbox } from './mailbox.ts';

/** Timers and reminders of one actor that wait for their time. */
const TIMERS_MAX = 1024;

export interface ActorTimersOptions {
  readonly clock: Clock;
  /** Where callbacks take their turn among the calls. */
  readonly mailbox: Mailbox;
  readonly lease: Lease;
  /** What a callback throws is the actor's end: nobody waits for an answer of it. */
  fail(error: unknown): void;
}

export type TimerCallback = () => void | Promise<void>;

/** The timers of one life of an actor: what is due runs through the mailbox, as a call would. */
export class ActorTimers {
  readonly #options: ActorTimersOptions;
  readonly #timers = new Set<ActorTimer>();
  #state: 'new' | 'running' | 'closed' = 'new';

  constructor(options: ActorTimersOptions) {
    this.#options = options;
  }

  /** @throws RangeError for a delay that can't be, or when the actor has too many timers. */
  setTimeout(callback: TimerCallback, delayMs: number): ClockTimer {
    return this.#add(callback, delayMs, false);
  }

  /** A period that passes while the callback of the one before still waits or runs is left out. */
  every(periodMs: number, callback: TimerCallback): ClockTimer {
    return this.#add(callback, periodMs, true);
  }

  /** The actor takes messages from now on: the time of all timers begins. */
  begin(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    for (const timer of this.#timers) timer.arm();
  }

  close(): void {
    this.#state = 'closed';
    for (const timer of [...this.#timers]) timer.cancel();
  }

  #add(callback: TimerCallback, delayMs: number, repeats: boolean): ClockTimer {
    if (!(delayMs >= (repeats ? 1 : 0) && delayMs <= TIMER_MS_MAX)) {
      throw new RangeError(
        `a timer takes ${repeats ? 1 : 0} to ${TIMER_MS_MAX} ms, got ${delayMs}`,
      );
    }
    if (this.#timers.size >= TIMERS_MAX) {
      throw new RangeError(`an actor has ${TIMERS_MAX} timers at most; cancel some`);
    }
    const timer = new ActorTimer(this.#options, callback, delayMs, repeats, () =>
      this.#timers.delete(timer),
    );
    if (this.#state === 'closed') return timer;
    this.#timers.add(timer);
    if (this.#state === 'running') timer.arm();
    return timer;
  }
}

class ActorTimer implements ClockTimer {
  readonly #options: ActorTimersOptions;
  readonly #callback: TimerCallback;
  readonly #delayMs: number;
  readonly #repeats: boolean;
  readonly #onOver: () => void;
  #waiting: ClockTimer | undefined;
  /** Its callback is in the mailbox or runs. */
  #due = false;
  #cancelled = false;

  constructor(
    options: ActorTimersOptions,
    callback: TimerCallback,
    delayMs: number,
    repeats: boolean,
    onOver: () => void,
  ) {
    this.#options = options;
    this.#callback = callback;
    this.#delayMs = delayMs;
    this.#repeats = repeats;
    this.#onOver = onOver;
  }

  arm(): void {
    this.#waiting = this.#options.clock.setTimeout(() => {
      if (this.#repeats) this.arm();
      if (this.#due) return;
      this.#due = true;
      this.#options.mailbox.pushOwn(() => this.#run());
    }, this.#delayMs);
  }

  cancel(): void {
    this.#cancelled = true;
    this.#waiting?.cancel();
    this.#onOver();
  }

  async #run(): Promise<void> {
    try {
      await this.#options.lease.whenHeld();
      if (this.#cancelled) return;
      if (!this.#repeats) this.#onOver();
      await this.#callback();
    } catch (error) {
      this.#options.fail(error);
    } finally {
      this.#due = false;
    }
  }
}
