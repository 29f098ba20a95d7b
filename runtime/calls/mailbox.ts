type Job = () => Promise<void> | void;

/**
 * The work waiting for one group of an actor's methods: begun first in, first out, never more than
 * `messagesMax` waiting nor more than `concurrency` at once. Jobs settle their own callers and must
 * not throw.
 */
export class Mailbox {
  readonly #messagesMax: number;
  readonly #concurrency: number;
  #jobs: Job[] = [];
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
  push(job: Job): boolean {
    if (this.waiting >= this.#messagesMax) return false;
    this.pushOwn(job);
    return true;
  }

  /** Queues a job of the actor's own, which are bounded elsewhere, also when the mailbox is full. */
  pushOwn(job: Job): void {
    if (this.#running < this.#concurrency) {
      this.#running += 1;
      this.#work(job);
    } else {
      this.#jobs.push(job);
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

  /** Runs this job and then what waits, at once as long as jobs are synchronous. */
  #work(first: Job): void {
    for (let job: Job | undefined = first; job !== undefined; job = this.#next()) {
      const pending = job();
      if (pending === undefined) continue;
      void pending.then(() => {
        const next = this.#next();
        if (next === undefined) this.#rest();
        else this.#work(next);
      });
      return;
    }
    this.#rest();
  }

  #next(): Job | undefined {
    const job = this.#jobs[this.#head];
    if (job === undefined) return undefined;
    this.#head += 1;
    if (this.#head === 1024 || this.#head === this.#jobs.length) {
      this.#jobs = this.#jobs.slice(this.#head);
      this.#head = 0;
    }
    return job;
  }

  #rest(): void {
    this.#running -= 1;
    if (this.#running > 0) return;
    const listeners = this.#idleListeners;
    this.#idleListeners = [];
    for (const listener of listeners) listener();
  }
}
