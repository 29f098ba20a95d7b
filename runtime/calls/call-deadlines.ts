import type { Clock, ClockTimer } from '../clock.ts';
import type { PendingCall } from './pending-call.ts';

/**
 * The deadlines of all open calls to one actor, watched by one timer: a timer for each call would cost
 * more than sending it does. Which calls are open it asks when the timer is due.
 */
export class CallDeadlines {
  readonly #clock: Clock;
  readonly #open: () => readonly PendingCall[];
  readonly #expire: (call: PendingCall) => void;
  #timer: ClockTimer | undefined;
  /** When the timer is due: never later than the first deadline. */
  #dueAt = Number.POSITIVE_INFINITY;

  /** `open` lists the calls that are not settled; `expire` settles one. */
  constructor(
    clock: Clock,
    open: () => readonly PendingCall[],
    expire: (call: PendingCall) => void,
  ) {
    this.#clock = clock;
    this.#open = open;
    this.#expire = expire;
  }

  /** A call is open from now on. */
  watch(call: PendingCall): void {
    if (call.deadlineAt < this.#dueAt) this.#arm(call.deadlineAt);
  }

  /** Leaves no timer behind; called now and then when no call is open. */
  rest(): void {
    this.#timer?.cancel();
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  #arm(dueAt: number): void {
    this.#timer?.cancel();
    this.#dueAt = dueAt;
    this.#timer = this.#clock.setTimeout(
      () => this.#check(),
      Math.max(0, dueAt - this.#clock.now()),
    );
  }

  #check(): void {
    const now = this.#clock.now();
    const due = this.#dueAt;
    this.#dueAt = Number.POSITIVE_INFINITY;
    let first = Number.POSITIVE_INFINITY;
    for (const call of this.#open()) {
      // A timer may be early by a fraction; what it was armed for is due all the same.
      if (call.deadlineAt <= now || call.deadlineAt <= due) this.#expire(call);
      else first = Math.min(first, call.deadlineAt);
    }
    if (first < this.#dueAt) this.#arm(first);
  }
}
