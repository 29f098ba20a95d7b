import { DeadlineError } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import type { NodeInfo } from './placement.ts';

interface Waiter {
  readonly count: number;
  resolve(): void;
}

/** Those who wait until so many nodes are there. */
export class NodeWaiters {
  readonly #clock: Clock;
  readonly #nodes: () => readonly NodeInfo[];
  readonly #refusals: () => readonly string[];
  readonly #waiters = new Set<Waiter>();

  constructor(
    clock: Clock,
    nodes: () => readonly NodeInfo[],
    /** Why some nodes don't count. */
    refusals: () => readonly string[],
  ) {
    this.#clock = clock;
    this.#nodes = nodes;
    this.#refusals = refusals;
  }

  get isEmpty(): boolean {
    return this.#waiters.size === 0;
  }

  /** @throws DeadlineError naming who is there, or the signal's reason. */
  waitFor(
    count: number,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<readonly NodeInfo[]> {
    if (this.#nodes().length >= count) return Promise.resolve(this.#nodes());
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const finish = (): void => {
        this.#waiters.delete(waiter);
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
      };
      const fail = (error: unknown): void => {
        finish();
        reject(error);
      };
      const onAbort = (): void => fail(signal?.reason);
      const waiter: Waiter = {
        count,
        resolve: () => {
          finish();
          resolve(this.#nodes());
        },
      };
      const timer = this.#clock.setTimeout(() => fail(this.#late(count, timeoutMs)), timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  /** So many nodes are there now. */
  noteCount(count: number): void {
    for (const waiter of [...this.#waiters]) if (waiter.count <= count) waiter.resolve();
  }

  #late(count: number, timeoutMs: number): DeadlineError {
    const names = this.#nodes().map(({ nodeName }) => nodeName);
    const refusals = this.#refusals();
    const refused = refusals.length === 0 ? '' : `; refused: ${refusals.join('; ')}`;
    const text = `${count} nodes wanted, after ${timeoutMs} ms there are ${names.length}`;
    return new DeadlineError(`${text}: ${names.join(', ')}${refused}`);
  }
}
