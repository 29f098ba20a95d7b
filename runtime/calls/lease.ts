import type {
  Bus,
  BusKind,
  BusMessage,
  BusStatus,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from '../bus/bus.ts';
import type { Neighbours } from '../bus/neighbours.ts';
import type { Clock } from '../clock.ts';

/**
 * Whether an actor may act: nobody can have started it anew elsewhere. It has to be renewed, and while
 * it has lapsed the actor begins no call and what it says is dropped, to be asked for again.
 */
export class Lease {
  readonly #clock: Clock;
  #limited = false;
  #until = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get held(): boolean {
    return this.remainingMs > 0;
  }

  /** Negative once it has lapsed. */
  get remainingMs(): number {
    return this.#limited ? this.#until - this.#clock.now() : Number.POSITIVE_INFINITY;
  }

  /** From now on it has to be renewed; before, it holds for ever. */
  limit(): void {
    this.#limited = true;
  }

  renew(remainingMs: number): void {
    this.#until = Math.max(this.#until, this.#clock.now() + remainingMs);
    if (!this.held) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  /** Resolves when it is held, perhaps again. */
  async whenHeld(): Promise<void> {
    while (!this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** The bus as an actor under `lease` has it: while that has lapsed, what it publishes is lost. */
export function leasedBus(bus: Bus, lease: Lease): Bus {
  return new LeasedBus(bus, lease);
}

class LeasedBus implements Bus {
  readonly #bus: Bus;
  readonly #lease: Lease;

  constructor(bus: Bus, lease: Lease) {
    this.#bus = bus;
    this.#lease = lease;
  }

  get kind(): BusKind {
    return this.#bus.kind;
  }

  get clock(): Clock {
    return this.#bus.clock;
  }

  get payloadBytesMax(): number {
    return this.#bus.payloadBytesMax;
  }

  get valueBytesMax(): number | undefined {
    return this.#bus.valueBytesMax;
  }

  get nearby(): Neighbours | undefined {
    return this.#bus.nearby;
  }

  publish(subject: string, data: Uint8Array, options?: PublishOptions): void {
    if (this.#lease.held) this.#bus.publish(subject, data, options);
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options?: SubscribeOptions,
  ): Subscription {
    return this.#bus.subscribe(subject, handler, options);
  }

  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage> {
    return this.#bus.request(subject, data, options);
  }

  createInbox(): string {
    return this.#bus.createInbox();
  }

  onStatus(listener: (status: BusStatus) => void): Subscription {
    return this.#bus.onStatus(listener);
  }

  flush(): Promise<void> {
    return this.#bus.flush();
  }

  drain(): Promise<void> {
    return this.#bus.drain();
  }

  close(): Promise<void> {
    return this.#bus.close();
  }
}
