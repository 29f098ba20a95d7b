import { DeadlineError, NoResponderError } from '../../errors.ts';
import { type Clock, TIMER_MS_MAX } from '../clock.ts';
import type { BusMessage, RequestOptions } from './bus.ts';

interface Pending {
  readonly subject: string;
  readonly into: Uint8Array | undefined;
  settle(message: BusMessage): void;
  fail(error: unknown): void;
}

/**
 * The requests of one connection that await an answer. All answers come to one wildcard
 * subscription; the last word of the reply subject tells which request is meant.
 */
export class RequestTable {
  readonly #inbox: string;
  readonly #clock: Clock;
  readonly #pending = new Map<string, Pending>();
  #lastId = 0;

  /** @param inbox a subject prefix that nobody else uses. */
  constructor(inbox: string, clock: Clock) {
    this.#inbox = inbox;
    this.#clock = clock;
  }

  get pattern(): string {
    return `${this.#inbox}.*`;
  }

  /** Whether the request still awaits its answer. */
  has(replySubject: string): boolean {
    return this.#pending.has(replySubject);
  }

  /**
   * Sends by `send` and resolves with the first answer; later ones are ignored. A throwing `send`
   * rejects. @throws DeadlineError, the signal's reason, or whatever `fail` and `failAll` bring.
   */
  open(
    subject: string,
    { timeoutMs, signal, into }: RequestOptions,
    send: (replySubject: string) => void,
  ): Promise<BusMessage> {
    if (!(timeoutMs > 0)) {
      return Promise.reject(
        new RangeError(`A request needs a timeoutMs over 0, not ${timeoutMs}.`),
      );
    }
    if (signal?.aborted) return Promise.reject(signal.reason);
    this.#lastId += 1;
    const replySubject = `${this.#inbox}.${this.#lastId}`;
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        this.#pending.delete(replySubject);
        timer.cancel();
        signal?.removeEventListener('abort', abort);
      };
      const fail = (error: unknown): void => {
        finish();
        reject(error);
      };
      const abort = (): void => fail(signal?.reason);
      const timer = this.#clock.setTimeout(
        () => {
          fail(new DeadlineError(`No answer on "${subject}" within ${timeoutMs} ms.`));
        },
        Math.min(timeoutMs, TIMER_MS_MAX),
      );
      signal?.addEventListener('abort', abort, { once: true });
      const settle = (message: BusMessage): void => {
        finish();
        resolve(message);
      };
      this.#pending.set(replySubject, { subject, into, settle, fail });
      try {
        send(replySubject);
      } catch (error) {
        fail(error);
      }
    });
  }

  /**
   * Where the answer on `replySubject` was asked to lie, if it has the length that was expected.
   */
  placeFor(replySubject: string, byteLength: number): Uint8Array | undefined {
    const into = this.#pending.get(replySubject)?.into;
    return into?.length === byteLength ? into : undefined;
  }

  settle(message: BusMessage): void {
    this.#pending.get(message.subject)?.settle(message);
  }

  fail(replySubject: string, error: unknown): void {
    this.#pending.get(replySubject)?.fail(error);
  }

  failNoResponder(replySubject: string): void {
    const pending = this.#pending.get(replySubject);
    pending?.fail(new NoResponderError(`Nobody listens on "${pending.subject}".`));
  }

  failSubject(subject: string, error: unknown): void {
    for (const pending of [...this.#pending.values()]) {
      if (pending.subject === subject) pending.fail(error);
    }
  }

  failAll(error: unknown): void {
    for (const pending of [...this.#pending.values()]) pending.fail(error);
  }
}
