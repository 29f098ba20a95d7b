import { type Clock, type ClockTimer, systemClock, TIMER_MS_MAX } from '../clock.ts';
import { checkGiven, fields, from, optional, whole } from '../option-check.ts';

export interface WaitOptions {
  /** Enough when so many have settled. Default: all. */
  readonly count?: number;
  /** Returns what there is after so long. Default: waits for as long as it takes. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

export interface Waited<Value> {
  /** Fulfilled or rejected: awaiting one of these takes no time. In the order given. */
  readonly done: readonly Promise<Value>[];
  readonly pending: readonly Promise<Value>[];
}

/**
 * Waits until `count` of the promises have settled, or for `timeoutMs`, whichever is first. It never
 * rejects; a promise that is rejected counts as done, and is the caller's to look at.
 * @throws TypeError or RangeError for an option that can't be used: a count that can't be reached.
 */
export async function wait<Value>(
  promises: readonly Promise<Value>[],
  options: WaitOptions = {},
): Promise<Waited<Value>> {
  const schemas = {
    count: optional(whole(0, promises.length)),
    timeoutMs: optional(from(0, TIMER_MS_MAX)),
    clock: optional(fields('a Clock')),
  } satisfies Record<keyof WaitOptions, unknown>;
  checkGiven('wait option', schemas, options);
  const { count = promises.length, timeoutMs, clock = systemClock } = options;
  const settled = new Set<Promise<Value>>();
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  for (const promise of promises) {
    const note = (): void => {
      settled.add(promise);
      if (settled.size >= count) resolve();
    };
    promise.then(note, note);
  }
  if (count === 0) resolve();
  let timer: ClockTimer | undefined;
  if (timeoutMs !== undefined) timer = clock.setTimeout(resolve, timeoutMs);
  await enough;
  timer?.cancel();
  return {
    done: promises.filter((promise) => settled.has(promise)),
    pending: promises.filter((promise) => !settled.has(promise)),
  };
}
