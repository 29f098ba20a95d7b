import { DeadlineError } from '../../errors.ts';
import type { Clock, ClockTimer } from '../clock.ts';
import type { CallSpan } from '../observe/tracing.ts';

export interface StreamReaderOptions {
  /** For messages: which stream of which actor. */
  readonly name: string;
  readonly clock: Clock;
  /** For each wait for an item. */
  readonly timeoutMs: number;
  /** Items that may be on their way or unread. */
  readonly itemsMax: number;
  readonly signal: AbortSignal | undefined;
  /** Sends the opening call, which rejects when the actor refuses or dies, or the signal aborts. */
  open(reader: StreamReader, signal: AbortSignal): Promise<unknown>;
  /** Nothing more is read; called once, if reading had begun. */
  onClose?(): void;
}

/** The way back to the actor, known once the opening call was sent. */
export interface StreamLink {
  sendCredit(received: number, allowed: number, resend: boolean): void;
  /** Nothing more is wanted; also the sign that everything, the end included, has arrived. */
  cancel(): void;
}

interface Waiter {
  resolve(result: IteratorResult<unknown>): void;
  reject(error: unknown): void;
  readonly timer: ClockTimer;
}

/** The near side of a stream: orders what arrives, gives credit for what is taken. */
export class StreamReader implements AsyncIterableIterator<unknown>, AsyncDisposable {
  readonly #options: StreamReaderOptions;
  readonly #opening = new AbortController();
  #link: StreamLink | undefined;
  /** Arrived in order and not yet taken; large ones are still being fetched. */
  readonly #ready: unknown[] = [];
  readonly #early = new Map<number, unknown>();
  readonly #waiters: Waiter[] = [];
  #received = 0;
  #taken = 0;
  #allowed: number;
  #endIndex: number | undefined;
  #span: CallSpan | undefined;
  #failure: { readonly error: unknown } | undefined;
  #state: 'new' | 'open' | 'closed' = 'new';

  constructor(options: StreamReaderOptions) {
    this.#options = options;
    this.#allowed = options.itemsMax;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#state === 'new') this.#open();
    if (this.#waiters.length === 0 && this.#ready.length > 0) return this.#take();
    if (this.#failure !== undefined) return this.#throwFailure(this.#failure.error);
    if (this.#state === 'closed') return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      const { clock, timeoutMs } = this.#options;
      const timer = clock.setTimeout(() => this.#fail(this.#deadlineError()), timeoutMs);
      this.#waiters.push({ resolve, reject, timer });
    });
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#ready.length = 0;
    this.#failure = undefined;
    this.#close();
    return { done: true, value: undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Of a caller that traces: ends with the stream. */
  trace(span: CallSpan): void {
    this.#span = span;
  }

  /** The opening call is on its way; called again if it was sent again. */
  attach(link: StreamLink): void {
    this.#link = link;
  }

  /** An item came; `open` gives its value, or the promise of a large one. */
  receive(index: number, open: () => unknown): void {
    if (this.#state !== 'open' || index < this.#received || index >= this.#allowed) return;
    if (this.#early.has(index)) return;
    const item = open();
    // A large item that fails to arrive fails the `next()` that takes it.
    if (item instanceof Promise) item.catch(() => {});
    this.#early.set(index, item);
    while (this.#early.has(this.#received)) {
      this.#ready.push(this.#early.get(this.#received));
      this.#early.delete(this.#received);
      this.#received += 1;
    }
    while (this.#waiters.length > 0 && this.#ready.length > 0) {
      const waiter = this.#waiters.shift()!;
      waiter.timer.cancel();
      this.#take().then(waiter.resolve, waiter.reject);
    }
    this.#endIfComplete();
  }

  /** The stream has `index` items, and failed after them if `failure` is given. */
  receiveEnd(index: number, failure: { readonly error: unknown } | undefined): void {
    if (this.#state !== 'open') return;
    this.#endIndex = index;
    this.#failure = failure;
    this.#endIfComplete();
  }

  /** The actor is gone or refuses: what has arrived can still be read, then `error` is thrown. */
  fail(error: unknown): void {
    if (this.#state === 'open') this.#fail(error);
  }

  /** Tells the far side how much it may send at first, where nothing else has. */
  giveCredit(): void {
    this.#link?.sendCredit(this.#received, this.#allowed, false);
  }

  /** A sign of life to the far side; has lost items sent again. */
  renewCredit(): void {
    if (this.#state === 'open') this.#link?.sendCredit(this.#received, this.#allowed, true);
  }

  #open(): void {
    this.#state = 'open';
    const { signal } = this.#options;
    if (signal?.aborted) {
      this.#fail(signal.reason);
      return;
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#options
      .open(this, this.#opening.signal)
      .then(undefined, (error: unknown) => this.fail(error));
  }

  readonly #onAbort = (): void => {
    this.#ready.length = 0;
    this.#fail(this.#options.signal?.reason);
  };

  async #take(): Promise<IteratorResult<unknown>> {
    const item = this.#ready.shift();
    this.#taken += 1;
    // Credit goes back in halves of the window: a message for every item would double the traffic.
    const allowed = this.#taken + this.#options.itemsMax;
    if (this.#state === 'open' && allowed - this.#allowed >= this.#options.itemsMax / 2) {
      this.#allowed = allowed;
      this.#link?.sendCredit(this.#received, allowed, false);
    }
    try {
      return { done: false, value: await item };
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  #endIfComplete(): void {
    if (this.#endIndex === undefined || this.#received < this.#endIndex) return;
    this.#close();
  }

  #fail(error: unknown): void {
    if (this.#state === 'closed') return;
    this.#failure = { error };
    this.#close();
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#early.clear();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#opening.abort();
    this.#link?.cancel();
    this.#span?.end(this.#failure?.error, this.#received);
    this.#options.onClose?.();
    for (const waiter of this.#waiters.splice(0)) {
      waiter.timer.cancel();
      if (this.#failure === undefined) waiter.resolve({ done: true, value: undefined });
      else this.#throwFailure(this.#failure.error).then(waiter.resolve, waiter.reject);
    }
  }

  /** Once thrown the stream is over, as with any generator. */
  #throwFailure(error: unknown): Promise<never> {
    this.#failure = undefined;
    return Promise.reject(error);
  }

  #deadlineError(): DeadlineError {
    const { name, timeoutMs } = this.#options;
    return new DeadlineError(
      `${name} brought no item within ${timeoutMs} ms; if that is normal, give withCallOptions ` +
        'a longer timeoutMs',
    );
  }
}
