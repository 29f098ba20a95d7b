import type { Clock, ClockTimer } from '../clock.ts';
import type { Link } from './endpoint.ts';

/** A reader shows itself every few seconds; one silent for so long is gone. */
const READER_SILENT_MS = 30_000;

export interface StreamOutlet {
  /** Sends item number `index` and returns its bytes, in case they have to be sent again. */
  sendItem(index: number, value: unknown): Uint8Array;
  sendEnd(index: number, error: unknown): Uint8Array;
  resend(bytes: Uint8Array): void;
  /** The reader is gone or has everything; called once. */
  onClose(): void;
}

export interface StreamProducerOptions {
  readonly items: AsyncIterable<unknown>;
  readonly credit: number;
  readonly outlet: StreamOutlet;
  readonly clock: Clock;
  readonly link: Link;
}

/** Sends the items of an async iterable to one reader, never more than it gave credit for. */
export class StreamProducer {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #outlet: StreamOutlet;
  readonly #clock: Clock;
  readonly #link: Link;
  /** Sent and not yet acknowledged, the end included; bounded by the credit. */
  readonly #unacknowledged = new Map<number, Uint8Array>();
  #allowed: number;
  #wake: (() => void) | undefined;
  #lastHeard: number;
  #closed = false;
  #watch: ClockTimer;

  constructor({ items, credit, outlet, clock, link }: StreamProducerOptions) {
    this.#iterator = items[Symbol.asyncIterator]();
    this.#allowed = credit;
    this.#outlet = outlet;
    this.#clock = clock;
    this.#link = link;
    this.#lastHeard = clock.now();
    this.#watch = this.#armWatch();
    void this.#pump();
  }

  /** The reader has all items below `received` and takes those below `allowed`. */
  acknowledge(received: number, allowed: number, resend: boolean): void {
    this.#lastHeard = this.#clock.now();
    for (const [index, bytes] of this.#unacknowledged) {
      if (index < received) this.#unacknowledged.delete(index);
      else if (resend) this.#outlet.resend(bytes);
    }
    if (allowed > this.#allowed) this.#allowed = allowed;
    this.#wake?.();
  }

  /** Ends the iterable early; nothing is sent any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.cancel();
    this.#unacknowledged.clear();
    this.#wake?.();
    // An iterator that is busy ends when it next yields; what it throws then reaches nobody.
    this.#iterator.return?.().then(undefined, () => {});
    this.#outlet.onClose();
  }

  async #pump(): Promise<void> {
    let index = 0;
    let error: unknown;
    try {
      while (!this.#closed) {
        while (index >= this.#allowed && !this.#closed) await this.#creditChange();
        if (this.#closed) return;
        const next = await this.#iterator.next();
        if (this.#closed) return;
        if (next.done) break;
        this.#unacknowledged.set(index, this.#outlet.sendItem(index, next.value));
        index += 1;
      }
    } catch (thrown) {
      error = thrown ?? new Error('the stream threw nothing');
    }
    if (!this.#closed) this.#unacknowledged.set(index, this.#outlet.sendEnd(index, error));
  }

  #creditChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #armWatch(): ClockTimer {
    return this.#clock.setTimeout(() => {
      const silentSince = Math.max(this.#lastHeard, this.#link.connectedSince);
      const silent = this.#link.connected && this.#clock.now() - silentSince >= READER_SILENT_MS;
      if (silent) this.close();
      else this.#watch = this.#armWatch();
    }, READER_SILENT_MS / 2);
  }
}
