/**
 * The work waiting for one group of an actor's methods: begun first in, first out, never more than
 * `messagesMax` waiting nor more than `concurrency` at once. Jobs settle their own callers and must
 * not throw.
 */
export class Mailbox {
  readonly #messagesMax: number;
  readonly #concurrency: number;
  #jobs: (() => Promise<void> | void)[] = [];
  /** Jobs before this index are done; shifting an array per message would cost its length. */
  #head = 0;
  #running = 0;
  #idleListeners: (() => void)[] = [];

  constructor(messagesMax: number, concurrency = 1) {
    if (!Number.isInteger(messagesMax) || messagesMax < 1) {
      throw new RangeError(`mailboxMessagesMax must be an integer from 1 up, got ${messagesMax}`);
    }
    this.#messagesMax = messagesMax;
    this.#concurrency = concurrency;
  }

  get waiting(): number {
    return this.#jobs.length - this.#head;
  }

  /** Queues the job, or returns false when the mailbox is full. */
  push(job: () => Promise<void> | void): boolean {
    if (this.waiting >= this.#messagesMax) return false;
    this.pushOwn(job);
    return true;
  }

  /** Queues a job of the actor's own, which are bounded elsewhere, also when the mailbox is full. */
  pushOwn(job: () => Promise<void> | void): void {
    this.#jobs.push(job);
    if (this.#running < this.#concurrency) {
      this.#running += 1;
      void this.#work();
    }
  }

  /** Resolves when nothing waits and nothing runs. */
  idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleListeners.push(resolve));
  }

  /** Forgets what waits; the job that runs goes on. */
  clear(): void {
    this.#jobs = [];
    this.#head = 0;
  }

  async #work(): Promise<void> {
    while (this.#head < this.#jobs.length) {
      const job = this.#jobs[this.#head]!;
      this.#head += 1;
      if (this.#head === 1024 || this.#head === this.#jobs.length) {
        this.#jobs = this.#jobs.slice(this.#head);
        this.#head = 0;
      }
      const pending = job();
      if (pending !== undefined) await pending;
    }
    this.#running -= 1;
    if (this.#running > 0) return;
    const listeners = this.#idleListeners;
    this.#idleListeners = [];
    for (const listener of listeners) listener();
  }
}
