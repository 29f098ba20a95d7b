/** The longest time a timer can wait; a longer one would fire at once. */
export const TIMER_MS_MAX: number = 2 ** 31 - 1;

/** Time as the runtime sees it. Handed in everywhere, so that a simulation can turn it by hand. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** Runs `callback` once, `delayMs` from now, unless cancelled before. */
  setTimeout(callback: () => void, delayMs: number): ClockTimer;
}

export interface ClockTimer {
  /** Idempotent; does nothing after the callback ran. */
  cancel(): void;
}

/** The process's own monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, delayMs) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Calls `tick` every `periodMs` until the returned timer is cancelled. */
export function repeat(clock: Clock, periodMs: number, tick: () => void): ClockTimer {
  let timer: ClockTimer;
  const arm = (): void => {
    timer = clock.setTimeout(() => {
      // Armed again before the tick: a tick that cancels must stop the next one.
      arm();
      tick();
    }, periodMs);
  };
  arm();
  return { cancel: () => timer.cancel() };
}

/** Resolves after `delayMs`, or rejects with the signal's reason as soon as it aborts. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
