import { type Clock, type ClockTimer, systemClock } from '../clock.ts';

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
 * @throws RangeError for a count that can't be reached.
 */
export async function wait<Value>(
  promises: readonly Promise<Value>[],
  { count = promises.length, timeoutMs, clock = systemClock }: WaitOptions = {},
): Promise<Waited<Value>> {
  if (!(Number.isInteger(count) && count >= 0 && count <= promises.length)) {
    throw new RangeError(`count must be 0 to ${promises.length}, got ${count}`);
  }
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
