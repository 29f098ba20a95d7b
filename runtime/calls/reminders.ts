import * as v from 'valibot';
import type { Clock, ClockTimer } from '../clock.ts';
import type { ActorTimers } from './actor-timers.ts';

/** Reminders of one actor. */
const REMINDERS_MAX = 256;
const NAME_CHARACTERS_MAX = 128;

export interface Reminder {
  readonly name: string;
  /** From now to when it is due. */
  readonly remainingMs: number;
  /** It comes again and again. */
  readonly everyMs?: number;
  /** Handed to `remind`: plain data. */
  readonly payload?: unknown;
}

export interface ReminderOptions {
  /** To the first time. Default `everyMs`. */
  readonly delayMs?: number;
  readonly everyMs?: number;
  readonly payload?: unknown;
}

/**
 * Timers that outlive the actor's life: they are part of its checkpoint, and when they are due the
 * actor's method `remind` runs, in its turn in the mailbox, at least once for each. The time during
 * which the actor was down doesn't count.
 */
export interface Reminders {
  /** Resolves when it is durable; one of the same name is replaced. @throws RangeError at 256. */
  set(name: string, options: ReminderOptions): Promise<void>;
  /** Resolves when that is durable; false if there is none. */
  cancel(name: string): Promise<boolean>;
  list(): readonly Reminder[];
}

export interface ActorRemindersOptions {
  readonly clock: Clock;
  readonly timers: ActorTimers;
  remind(name: string, payload: unknown): unknown;
  save(): Promise<void>;
}

interface PendingReminder {
  readonly options: ReminderOptions;
  dueAt: number;
  timer: ClockTimer;
}

export class ActorReminders implements Reminders {
  readonly #options: ActorRemindersOptions;
  readonly #pending = new Map<string, PendingReminder>();

  constructor(options: ActorRemindersOptions) {
    this.#options = options;
  }

  async set(name: string, options: ReminderOptions): Promise<void> {
    const { delayMs = options.everyMs } = options;
    if (name.length === 0 || name.length > NAME_CHARACTERS_MAX) {
      throw new RangeError(`a reminder's name must have 1 to ${NAME_CHARACTERS_MAX} characters`);
    }
    if (delayMs === undefined) throw new TypeError('a reminder needs delayMs, everyMs or both');
    if (!this.#pending.has(name) && this.#pending.size >= REMINDERS_MAX) {
      throw new RangeError(`an actor has ${REMINDERS_MAX} reminders at most; cancel some`);
    }
    this.#arm(name, options, delayMs);
    await this.#options.save();
  }

  async cancel(name: string): Promise<boolean> {
    if (!this.#remove(name)) return false;
    await this.#options.save();
    return true;
  }

  list(): readonly Reminder[] {
    const now = this.#options.clock.now();
    return [...this.#pending].map(([name, { options, dueAt }]) => ({
      name,
      remainingMs: Math.max(0, dueAt - now),
      ...(options.everyMs !== undefined && { everyMs: options.everyMs }),
      ...(options.payload !== undefined && { payload: options.payload }),
    }));
  }

  /** What an earlier life left. */
  restore(reminders: readonly Reminder[]): void {
    for (const { name, remainingMs, ...options } of reminders)
      this.#arm(name, options, remainingMs);
  }

  #arm(name: string, options: ReminderOptions, delayMs: number): void {
    const { clock, timers } = this.#options;
    // The timer first: what it refuses must not cost the reminder that was there.
    const timer = timers.setTimeout(() => this.#deliver(name, pending), delayMs);
    this.#remove(name);
    const pending: PendingReminder = { options, dueAt: clock.now() + delayMs, timer };
    this.#pending.set(name, pending);
  }

  async #deliver(name: string, pending: PendingReminder): Promise<void> {
    const { everyMs, payload } = pending.options;
    await this.#options.remind(name, payload);
    // Set anew or cancelled by the actor itself meanwhile: that is what counts.
    if (this.#pending.get(name) !== pending) return;
    if (everyMs === undefined) this.#pending.delete(name);
    else this.#arm(name, pending.options, everyMs);
    await this.#options.save();
  }

  #remove(name: string): boolean {
    this.#pending.get(name)?.timer.cancel();
    return this.#pending.delete(name);
  }
}

const REMINDERS_KEY = '$codistill.reminders';

/** What goes into a checkpoint: the actor's own state, alone where there are no reminders. */
export function withReminders(state: unknown, reminders: readonly Reminder[]): unknown {
  return reminders.length === 0 ? state : { [REMINDERS_KEY]: reminders, state };
}

/** The inverse of `withReminders`. */
export function splitReminders(saved: unknown): {
  readonly state: unknown;
  readonly reminders: readonly Reminder[];
} {
  const parsed = v.safeParse(savedSchema, saved);
  return parsed.success
    ? { state: parsed.output.state, reminders: parsed.output[REMINDERS_KEY] as Reminder[] }
    : { state: saved, reminders: [] };
}

const savedSchema = v.object({
  [REMINDERS_KEY]: v.array(
    v.object({
      name: v.string(),
      remainingMs: v.number(),
      everyMs: v.exactOptional(v.number()),
      payload: v.exactOptional(v.unknown()),
    }),
  ),
  state: v.optional(v.unknown()),
});
