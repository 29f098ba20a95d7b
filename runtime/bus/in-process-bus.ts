import type { Clock } from '../clock.ts';
import type {
  Bus,
  BusKind,
  BusMessage,
  BusStatus,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from './bus.ts';
import { closedError, overloadedError, tooLargeError } from './bus-errors.ts';
import { runHandler, StatusListeners } from './bus-status.ts';
import { RequestTable } from './request-table.ts';
import { joinPieces, type Port, type Route, type RoutedMessage, type Routing } from './router.ts';
import { answersInbox, assertSubject, assertSubjectPattern } from './subject.ts';

/** So many deliveries in a row run as microtasks; then timers and sockets get their turn. */
const MICROTASK_RUNS_MAX = 256;
/** What a message costs beside its bytes; bounds the number of empty ones. */
const MESSAGE_OVERHEAD_BYTES = 128;

export interface InProcessBusOptions {
  readonly kind: BusKind;
  readonly clock: Clock;
  readonly router: Routing;
  /** Unique among the router's connections. */
  readonly name: string;
  readonly payloadBytesMax: number;
  readonly pendingBytesMax: number;
  /** Runs what is handed to it soon, but not at once. Default: as a microtask, mostly. */
  defer?(run: () => void): void;
}

interface Delivery {
  readonly routeId: number;
  readonly message: RoutedMessage;
}

/** A connection to a router of the same process. */
export class InProcessBus implements Bus, Port {
  readonly kind: BusKind;
  readonly clock: Clock;
  readonly payloadBytesMax: number;
  readonly #router: Routing;
  readonly #inbox: string;
  readonly #pendingBytesMax: number;
  readonly #defer: (run: () => void) => void;
  readonly #status = new StatusListeners();
  readonly #requests: RequestTable;
  readonly #handlers = new Map<number, (message: BusMessage) => void>();
  readonly #routes = new Map<number, Route>();
  #pending: Delivery[] = [];
  #pendingBytes = 0;
  #scheduled = false;
  #lastId = 0;
  #lastInbox = 0;
  #state: 'open' | 'draining' | 'closed' = 'open';
  #afterDrain: (() => void) | undefined;
  #dropped: { subject: string; count: number } | undefined;

  constructor(options: InProcessBusOptions) {
    this.kind = options.kind;
    this.clock = options.clock;
    this.payloadBytesMax = options.payloadBytesMax;
    this.#router = options.router;
    this.#pendingBytesMax = options.pendingBytesMax;
    this.#defer = options.defer ?? createDeferral();
    this.#inbox = `_INBOX.${options.name}`;
    this.#requests = new RequestTable(answersInbox(this.#inbox), options.clock);
    this.#listen(this.#requests.pattern, (message) => this.#requests.settle(message));
  }

  publish(subject: string, data: Uint8Array, options?: PublishOptions): void {
    this.#route(subject, data, options?.replySubject);
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options?: SubscribeOptions,
  ): Subscription {
    if (this.#state !== 'open') throw closedError(this.kind);
    assertSubjectPattern(subject);
    if (options?.queue !== undefined) assertSubject(options.queue);
    const id = this.#listen(subject, handler, options?.queue);
    return { unsubscribe: () => this.#forget(id) };
  }

  async request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage> {
    return this.#requests.open(subject, options, (replySubject) => {
      const outcome = this.#route(subject, data, replySubject);
      if (outcome === 'nobody') this.#requests.failNoResponder(replySubject);
      if (outcome === 'dropped') throw overloadedError(subject);
    });
  }

  createInbox(): string {
    this.#lastInbox += 1;
    return `${this.#inbox}.${this.#lastInbox}`;
  }

  onStatus(listener: (status: BusStatus) => void): Subscription {
    return this.#status.add(listener);
  }

  async flush(): Promise<void> {
    if (this.#state === 'closed') throw closedError(this.kind);
    await this.#router.settled?.();
  }

  async drain(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'draining';
    for (const route of this.#routes.values()) this.#router.unsubscribe(route);
    this.#routes.clear();
    if (this.#pendingBytes > 0) {
      await new Promise<void>((resolve) => {
        this.#afterDrain = resolve;
      });
    }
    await this.close();
  }

  async close(): Promise<void> {
    this.shut(undefined);
  }

  /** Closes at once; `error` tells why if it was not asked for. */
  shut(error: Error | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const route of this.#routes.values()) this.#router.unsubscribe(route);
    this.#routes.clear();
    this.#handlers.clear();
    this.#pending = [];
    this.#requests.failAll(error ?? closedError(this.kind));
    this.#afterDrain?.();
    this.#status.emit(error ? { type: 'closed', error } : { type: 'closed' });
  }

  /** Tells the status listeners what happened to the connection. */
  report(status: BusStatus): void {
    if (this.#state !== 'closed') this.#status.emit(status);
  }

  /** The router says, later than by its outcome, that nobody listens to a request. */
  noteNoResponder(replySubject: string): void {
    this.#requests.failNoResponder(replySubject);
  }

  deliver(routeId: number, message: RoutedMessage): boolean {
    const cost = message.byteLength + MESSAGE_OVERHEAD_BYTES;
    if (this.#pendingBytes > 0 && this.#pendingBytes + cost > this.#pendingBytesMax) {
      this.#dropped ??= { subject: message.subject, count: 0 };
      this.#dropped.count += 1;
      return false;
    }
    this.#pendingBytes += cost;
    this.#pending.push({ routeId, message });
    this.#schedule();
    return true;
  }

  #route(subject: string, data: Uint8Array, replySubject: string | undefined) {
    if (this.#state === 'closed') throw closedError(this.kind);
    assertSubject(subject);
    if (replySubject !== undefined) assertSubject(replySubject);
    if (data.length > this.payloadBytesMax) {
      throw tooLargeError(subject, data.length, this.payloadBytesMax);
    }
    const message = { subject, replySubject, pieces: [data], byteLength: data.length };
    return this.#router.publish(message);
  }

  #listen(pattern: string, handler: (message: BusMessage) => void, queue?: string): number {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#handlers.set(id, handler);
    this.#routes.set(id, this.#router.subscribe(this, id, pattern, queue));
    return id;
  }

  #forget(id: number): void {
    this.#handlers.delete(id);
    const route = this.#routes.get(id);
    if (!route) return;
    this.#routes.delete(id);
    this.#router.unsubscribe(route);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(this.#handlePending);
  }

  readonly #handlePending = (): void => {
    this.#scheduled = false;
    const deliveries = this.#pending;
    this.#pending = [];
    for (const { routeId, message } of deliveries) {
      const handler = this.#handlers.get(routeId);
      if (handler) {
        const into = this.#requests.placeFor(message.subject, message.byteLength);
        runHandler(handler, toBusMessage(message, into));
      }
      this.#pendingBytes -= message.byteLength + MESSAGE_OVERHEAD_BYTES;
    }
    if (this.#dropped) {
      const { subject, count } = this.#dropped;
      this.#dropped = undefined;
      this.#status.emit({ type: 'slow-consumer', subject, droppedMessages: count });
    }
    if (this.#pendingBytes === 0) this.#afterDrain?.();
  };
}

function toBusMessage(message: RoutedMessage, into: Uint8Array | undefined): BusMessage {
  const { subject, replySubject } = message;
  const data = joinPieces(message, into);
  return replySubject === undefined ? { subject, data } : { subject, data, replySubject };
}

function createDeferral(): (run: () => void) => void {
  let runs = 0;
  return (run) => {
    runs += 1;
    if (runs % MICROTASK_RUNS_MAX > 0) queueMicrotask(run);
    else setImmediate(run);
  };
}
