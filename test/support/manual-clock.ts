import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../runtime/clock.ts';

export interface ManualClock extends Clock {
  /** Runs what is due in the next `ms`, in order, and what follows from it. */
  advance(ms: number): Promise<void>;
}

/** Time that only moves when a test says so. */
export function createManualClock(): ManualClock {
  let nowMs = 0;
  let lastId = 0;
  const timers = new Map<number, { readonly at: number; readonly callback: () => void }>();
  return {
    now: () => nowMs,
    setTimeout(callback, delayMs) {
      lastId += 1;
      const id = lastId;
      timers.set(id, { at: nowMs + delayMs, callback });
      return { cancel: () => void timers.delete(id) };
    },
    async advance(ms) {
      const until = nowMs + ms;
      await nextTurn();
      for (;;) {
        const due = [...timers].filter(([, { at }]) => at <= until);
        due.sort(([idA, a], [idB, b]) => a.at - b.at || idA - idB);
        const [first] = due;
        if (first === undefined) break;
        const [id, { at, callback }] = first;
        timers.delete(id);
        nowMs = at;
        callback();
        await nextTurn();
      }
      nowMs = until;
    },
  };
}
