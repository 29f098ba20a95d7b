import { QueueClosedError } from '../../errors.ts';
import {
  type ActorContext,
  type ActorDefinition,
  type CallContext,
  defineActor,
} from '../actor.ts';
import type { CallOptions } from '../calls/call-options.ts';
import { type Handle, type OwnedHandle, withCallOptions } from '../calls/handle.ts';
import { TIMER_MS_MAX } from '../clock.ts';
import { type SpawnOptions, spawnOptionSchemas } from '../nodes/spawn-options.ts';
import { checkGiven, type OptionSchemas, whole } from '../option-check.ts';

export interface QueueOptions extends SpawnOptions {
  /** Items that it holds; beyond, `put` waits. */
  readonly itemsMax: number;
}

/** What a queue gives: an item, or the news that it is closed and empty. */
export type Taken<Item> = { readonly done: false; readonly item: Item } | { readonly done: true };

export type QueueCallOptions = Pick<CallOptions, 'timeoutMs' | 'signal'>;

const WAITING_CALLS_MAX = 4096;
/** Reading to the end waits for as long as it takes; the queue's death ends it. */
const PATIENT_MS = TIMER_MS_MAX;

/** The actor behind a queue: first in, first out, also for those who wait. */
export class QueueActor {
  readonly #itemsMax: number;
  readonly #items: unknown[] = [];
  #putters: { readonly item: unknown; readonly resolve: () => void }[] = [];
  #getters: ((taken: Taken<unknown>) => void)[] = [];
  #closed = false;

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  put(item: unknown, { signal }: CallContext): void | Promise<void> {
    if (this.#closed) throw new QueueClosedError('the queue is closed and takes no more items');
    const getter = this.#getters.shift();
    if (getter !== undefined) return getter({ done: false, item });
    if (this.#items.length < this.#itemsMax) {
      this.#items.push(item);
      return;
    }
    return new Promise((resolve, reject) => {
      const putter = { item, resolve };
      this.#putters.push(putter);
      signal.addEventListener('abort', () => {
        this.#putters = this.#putters.filter((other) => other !== putter);
        reject(signal.reason);
      });
    });
  }

  get({ signal }: CallContext): Taken<unknown> | Promise<Taken<unknown>> {
    if (this.#items.length > 0) {
      const item = this.#items.shift();
      const putter = this.#putters.shift();
      if (putter !== undefined) {
        this.#items.push(putter.item);
        putter.resolve();
      }
      return { done: false, item };
    }
    if (this.#closed) return { done: true };
    return new Promise((resolve, reject) => {
      this.#getters.push(resolve);
      signal.addEventListener('abort', () => {
        this.#getters = this.#getters.filter((other) => other !== resolve);
        reject(signal.reason);
      });
    });
  }

  size(): number {
    return this.#items.length;
  }

  /** What waits to be put still gets in; what waits for an item hears that there is none. */
  close(): void {
    this.#closed = true;
    for (const getter of this.#getters.splice(0)) getter({ done: true });
  }
}

export const queueActor: ActorDefinition<{ readonly itemsMax: number }, QueueActor> = defineActor({
  type: 'codistill/queue',
  module: import.meta.url,
  concurrencyGroups: { puts: WAITING_CALLS_MAX, gets: WAITING_CALLS_MAX },
  methods: {
    put: { kind: 'call', group: 'puts' },
    get: { kind: 'call', group: 'gets' },
    size: 'idempotent',
    close: 'idempotent',
  },
  create: (_context: ActorContext, { itemsMax }: { readonly itemsMax: number }) =>
    new QueueActor(itemsMax),
});

/**
 * A bounded queue between actors of any processes. Items are delivered at most once: one is lost when
 * its receiver dies, or gives up, while the item is on its way to it; all are when the queue's own
 * process dies. Hand `handle` on in messages, and make a queue of it there.
 */
export class Queue<Item> implements AsyncIterable<Item> {
  readonly handle: Handle<QueueActor>;

  constructor(handle: Handle<QueueActor>) {
    this.handle = handle;
  }

  /** Waits while the queue is full. @throws QueueClosedError, DeadlineError after 30 s by default. */
  async put(item: Item, options: QueueCallOptions = {}): Promise<void> {
    await withCallOptions(this.handle, options).put(item);
  }

  /** Waits while the queue is empty. @throws DeadlineError after 30 s by default. */
  async get(options: QueueCallOptions = {}): Promise<Taken<Item>> {
    return (await withCallOptions(this.handle, options).get()) as Taken<Item>;
  }

  size(): Promise<number> {
    return this.handle.size();
  }

  /** No more is put; what is there can still be taken. */
  close(): Promise<void> {
    return this.handle.close();
  }

  /** Takes items until the queue is closed and empty. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for (;;) {
      const taken = await this.get({ timeoutMs: PATIENT_MS });
      if (taken.done) return;
      yield taken.item;
    }
  }
}

/** A queue that whoever made it owns: disposing of it stops its actor. */
export class OwnedQueue<Item> extends Queue<Item> implements AsyncDisposable {
  readonly #owned: OwnedHandle<QueueActor>;

  constructor(handle: OwnedHandle<QueueActor>) {
    super(handle);
    this.#owned = handle;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]();
  }
}

const schemas = {
  itemsMax: whole(1, 1_000_000),
  ...spawnOptionSchemas,
} satisfies OptionSchemas & Record<keyof QueueOptions, unknown>;

/**
 * Spawns a queue; `owner` is a system, or the context of the actor that owns it.
 * @throws what spawning throws; TypeError or RangeError for an option that can't be used.
 */
export async function createQueue<Item>(
  owner: Pick<ActorContext, 'spawn'>,
  options: QueueOptions,
): Promise<OwnedQueue<Item>> {
  checkGiven('queue option', schemas, options);
  const { itemsMax, ...spawnOptions } = options;
  return new OwnedQueue(await owner.spawn(queueActor, { itemsMax }, spawnOptions));
}
