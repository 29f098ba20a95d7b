import { DeadlineError } from '../../errors.ts';
import type { CallContext } from '../actor.ts';
import type { Clock, ClockTimer } from '../clock.ts';

/**
 * The context of one call. Its signal and timer are made when first asked for: most methods never
 * look, and an AbortController costs more than a whole call.
 */
export class ServedCall implements CallContext {
  readonly deadlineMs: number;
  readonly #clock: Clock;
  readonly #timed: boolean;
  readonly #startedAt: number;
  #controller: AbortController | undefined;
  #timer: ClockTimer | undefined;
  #abortReason: Error | undefined;

  /** A `timed` call aborts by itself at its deadline; a stream waits as long as it has a reader. */
  constructor(clock: Clock, deadlineMs: number, timed: boolean) {
    this.#clock = clock;
    this.deadlineMs = deadlineMs;
    this.#timed = timed;
    this.#startedAt = clock.now();
  }

  /** Since the method began. */
  get elapsedMs(): number {
    return this.#clock.now() - this.#startedAt;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
      else if (this.#timed) this.#armTimer();
    }
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.release();
    this.#abortReason ??= reason;
    this.#controller?.abort(this.#abortReason);
  }

  /** The call is over: no timer stays behind. */
  release(): void {
    this.#timer?.cancel();
  }

  #armTimer(): void {
    const remainingMs = this.deadlineMs - (this.#clock.now() - this.#startedAt);
    this.#timer = this.#clock.setTimeout(
      () =>
        this.abort(
          new DeadlineError(`the call's deadline of ${Math.round(this.deadlineMs)} ms passed`),
        ),
      Math.max(0, remainingMs),
    );
  }
}
