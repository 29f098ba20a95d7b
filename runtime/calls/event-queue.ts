export interface EventQueue<Event> {
  readonly items: AsyncIterableIterator<Event> & AsyncDisposable;
  push(event: Event): void;
  /** What was pushed can still be read; then the iterable ends, or throws `error`. */
  end(error?: Error): void;
}

/**
 * An async iterable of events as they happen. At most `eventsMax` wait for their reader: beyond, the
 * oldest are dropped. `onClose` runs once, after the end or when the reader leaves.
 */
export function createEventQueue<Event>(eventsMax: number, onClose: () => void): EventQueue<Event> {
  const waiting: Event[] = [];
  const readers: PromiseWithResolvers<IteratorResult<Event>>[] = [];
  const done: IteratorResult<Event> = { done: true, value: undefined };
  let failure: Error | undefined;
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    onClose();
    for (const { resolve } of readers.splice(0)) resolve(done);
  };
  const items: AsyncIterableIterator<Event> & AsyncDisposable = {
    async next() {
      if (waiting.length > 0) return { done: false, value: waiting.shift()! };
      if (failure !== undefined) {
        const error = failure;
        failure = undefined;
        throw error;
      }
      if (!open) return done;
      const reader = Promise.withResolvers<IteratorResult<Event>>();
      readers.push(reader);
      return reader.promise;
    },
    async return() {
      waiting.length = 0;
      close();
      return done;
    },
    [Symbol.asyncIterator]: () => items,
    async [Symbol.asyncDispose]() {
      await items.return?.();
    },
  };
  return {
    items,
    push(event) {
      if (!open) return;
      const reader = readers.shift();
      if (reader !== undefined) {
        reader.resolve({ done: false, value: event });
        return;
      }
      waiting.push(event);
      if (waiting.length > eventsMax) waiting.shift();
    },
    end(error) {
      if (!open) return;
      const reader = error === undefined ? undefined : readers.shift();
      if (reader === undefined) failure = error;
      else reader.reject(error);
      close();
    },
  };
}
