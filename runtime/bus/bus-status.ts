import type { BusStatus, Subscription } from './bus.ts';

/** The listeners of one connection's status. */
export class StatusListeners {
  readonly #listeners = new Set<(status: BusStatus) => void>();

  add(listener: (status: BusStatus) => void): Subscription {
    // An own function, so that one listener that is added twice is called twice and removed singly.
    const entry = (status: BusStatus): void => listener(status);
    this.#listeners.add(entry);
    return { unsubscribe: () => void this.#listeners.delete(entry) };
  }

  emit(status: BusStatus): void {
    for (const listener of [...this.#listeners]) runHandler(listener, status);
  }
}

/**
 * Handlers must not throw. One that does is a defect of its owner: the error surfaces as an
 * uncaught exception, which ends the process, but not in the middle of the bus's own work.
 */
export function runHandler<T>(handler: (argument: T) => void, argument: T): void {
  try {
    handler(argument);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
