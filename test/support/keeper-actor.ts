import {
  type ActorContext,
  type ActorDefinition,
  defineActor,
  type Handle,
  type OwnedHandle,
  Queue,
  type QueueActor,
  watch,
} from '../../runtime/index.ts';
import { type Counter, counter } from './test-actors.ts';

interface KeeperState {
  readonly saved: number;
  readonly friend?: Handle<Counter>;
}

/** Keeps time, children and a friend. */
export class Keeper {
  readonly #context: ActorContext;
  readonly #notes: string[] = [];
  #saved = 0;
  #child: OwnedHandle<Counter> | undefined;
  #friend: Handle<Counter> | undefined;

  constructor(context: ActorContext) {
    this.#context = context;
  }

  note(text: string): void {
    this.#notes.push(text);
  }

  notes(): readonly string[] {
    return this.#notes;
  }

  epoch(): number {
    return this.#context.epoch;
  }

  /** Notes `text` when the timer is due, in its turn. */
  async noteLater(text: string, delayMs: number): Promise<void> {
    this.#context.setTimeout(() => this.note(text), delayMs);
  }

  /** Keeps the mailbox until the clock is past `ms`. */
  async stay(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#context.clock.setTimeout(resolve, ms);
    });
    this.note('stayed');
  }

  /** Resolves after `count` ticks, then no more come. */
  ticks(count: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    let seen = 0;
    const timer = this.#context.every(1, () => {
      seen += 1;
      if (seen < count) return;
      timer.cancel();
      resolve(seen);
    });
    return promise;
  }

  failLater(): void {
    this.#context.setTimeout(() => {
      throw new RangeError('the timer failed');
    }, 1);
  }

  async remindLater(name: string, delayMs: number, everyMs?: number): Promise<void> {
    this.#saved += 1;
    const payload = { saved: this.#saved };
    const repeats = everyMs === undefined ? {} : { everyMs };
    await this.#context.reminders.set(name, { delayMs, payload, ...repeats });
  }

  async forget(name: string): Promise<boolean> {
    return this.#context.reminders.cancel(name);
  }

  reminders(): readonly string[] {
    return this.#context.reminders.list().map(({ name }) => name);
  }

  remind(name: string, payload: unknown): void {
    this.note(`${name} in life ${this.#context.epoch}: ${JSON.stringify(payload)}`);
  }

  checkpoint(): KeeperState {
    return { saved: this.#saved, ...(this.#friend && { friend: this.#friend }) };
  }

  restore({ saved, friend }: KeeperState): void {
    this.#saved = saved;
    this.#friend = friend;
  }

  async befriend(friend: Handle<Counter>): Promise<void> {
    this.#friend = friend;
    await this.#context.saveCheckpoint();
  }

  async addToFriend(amount: number): Promise<number> {
    if (this.#friend === undefined) throw new TypeError('there is no friend');
    return await this.#friend.add(amount);
  }

  async spawnChild(name: string): Promise<Handle<Counter>> {
    this.#child = await this.#context.spawn(counter, { start: 7 }, { name });
    return this.#child;
  }

  async dropChild(): Promise<void> {
    await this.#child?.[Symbol.asyncDispose]();
  }

  /** Waits for the end of another actor and says why it came. */
  async mourn(other: Handle<Counter>): Promise<string> {
    return (await watch(other).ended).message;
  }

  async feed(queue: Handle<QueueActor>, count: number): Promise<void> {
    const items = new Queue<number>(queue);
    for (let item = 0; item < count; item += 1) await items.put(item);
    await items.close();
  }

  exit(code: number): void {
    process.exit(code);
  }
}

export const keeper: ActorDefinition<undefined, Keeper> = defineActor({
  type: 'test/keeper',
  module: import.meta.url,
  concurrencyGroups: { beside: 4 },
  methods: {
    note: 'call',
    notes: { kind: 'idempotent', group: 'beside' },
    epoch: { kind: 'idempotent', group: 'beside' },
    noteLater: 'call',
    stay: 'call',
    ticks: { kind: 'call', group: 'beside' },
    failLater: 'call',
    remindLater: 'call',
    forget: 'call',
    reminders: 'idempotent',
    spawnChild: 'call',
    dropChild: 'call',
    befriend: 'call',
    addToFriend: 'call',
    mourn: { kind: 'call', group: 'beside' },
    feed: { kind: 'call', group: 'beside' },
    exit: 'call',
  },
  create: (context) => new Keeper(context),
});
