import { randomInt } from 'node:crypto';
import { totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createInbox,
  type Msg,
  type NatsConnection,
  type Subscription as NatsSubscription,
  errors as natsErrors,
  type Status,
} from '@nats-io/transport-node';
import { BusClosedError, BusUnavailableError, DeadlineError } from '../../errors.ts';
import { systemClock } from '../clock.ts';
import type {
  Bus,
  BusMessage,
  BusStatus,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from './bus.ts';
import { closedError, overloadedError, refusedError, tooLargeError } from './bus-errors.ts';
import { runHandler, StatusListeners } from './bus-status.ts';
import { type NatsOptions, type NatsTarget, resolveNatsTarget } from './nats-options.ts';
import { connectDirectly, publishDirectly } from './nats-transport.ts';
import { type HomeHub, Neighbours } from './neighbours.ts';
import { RequestTable } from './request-table.ts';
import { answersInbox, assertSubject, assertSubjectPattern } from './subject.ts';

/**
 * For each attempt to connect, so that a hung server does not keep us from the next one of its
 * cluster. The client library leaves the socket of a silent server open until that server closes
 * it.
 */
const ATTEMPT_TIMEOUT_MS = 5_000;
/** A hung server shows after two unanswered pings, in 3 s. */
const PING_INTERVAL_MS = 1_000;
const PINGS_UNANSWERED_MAX = 2;
const RECONNECT_WAIT_MS = { least: 250, most: 1_500 } as const;
/**
 * The client library gives publishing no backpressure, so we count what the server has not
 * confirmed.
 */
const CONFIRM_BYTES = 1 << 20;
const UNCONFIRMED_BYTES_MAX = 64 << 20;
/** Requests made while disconnected wait for the connection, so many and no more. */
const WAITING_REQUESTS_MAX = 1_000;
const WAITING_BYTES_MAX = 8 << 20;
/** The server's limit includes what the protocol adds. */
const PAYLOAD_HEADROOM_BYTES = 1 << 10;
const PAYLOAD_BYTES_MAX = 8 << 20;
const MESSAGE_OVERHEAD_BYTES = 64;
/** Smaller payloads are copied, so that all of a turn are written at once. */
const DIRECT_BYTES_MIN = 16 << 10;
const CLOSE_TIMEOUT_MS = 5_000;
const VALUE_SHARE_OF_MEMORY = 0.3;

/**
 * Connects to a NATS server or cluster. A connection that is lost is made again for ever; requests
 * wait for it within their deadlines.
 *
 * @throws BusUnavailableError when no server can be reached in `timeoutMs` or it refuses us.
 */
export async function connectNatsBus(options: NatsOptions, home?: HomeHub): Promise<Bus> {
  const target = await resolveNatsTarget(options);
  const inbox = createInbox(target.connection.inboxPrefix);
  const requests = new RequestTable(answersInbox(inbox), systemClock);
  const connectionOptions = {
    ...target.connection,
    // One that is cut off answers nothing at all: there must be time for the others.
    timeout: Math.min(options.timeoutMs / target.serverCount, ATTEMPT_TIMEOUT_MS),
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: PINGS_UNANSWERED_MAX,
    maxReconnectAttempts: -1,
    noEcho: false,
    reconnectDelayHandler: () => randomInt(RECONNECT_WAIT_MS.least, RECONNECT_WAIT_MS.most),
  };
  const connecting = connectDirectly(connectionOptions, {
    placeFor: (subject, byteLength) => requests.placeFor(subject, byteLength),
    placed: (subject, data) => requests.settle({ subject, data }),
  });
  const late = new AbortController();
  const deadline = delay(options.timeoutMs, undefined, { signal: late.signal }).then(() => {
    throw new DeadlineError(`no answer within ${options.timeoutMs} ms`);
  });
  deadline.catch(() => undefined);
  try {
    const connection = await Promise.race([connecting, deadline]);
    const { valueBytesMax } = options;
    return new NatsBus(connection, { target, requests, valueBytesMax, home });
  } catch (error) {
    // A connection that comes after the deadline is of no use.
    connecting.then(
      (connection) => connection.close(),
      () => undefined,
    );
    throw unavailable(error, target);
  } finally {
    late.abort();
  }
}

/** The client's connection beneath a bus, for what NATS has besides messages. @throws TypeError */
export function natsConnectionOf(bus: Bus): NatsConnection {
  if (bus instanceof NatsBus) return bus.connection;
  throw new TypeError(`a ${bus.kind} bus has no NATS connection`);
}

interface NatsBusParts {
  readonly target: NatsTarget;
  readonly requests: RequestTable;
  readonly valueBytesMax: number | undefined;
  readonly home: HomeHub | undefined;
}

interface WaitingRequest {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly replySubject: string;
}

class NatsBus implements Bus {
  readonly kind = 'nats';
  readonly clock = systemClock;
  readonly nearby: Neighbours;
  readonly valueBytesMax: number;
  readonly #connection: NatsConnection;
  readonly #target: NatsTarget;
  readonly #status = new StatusListeners();
  readonly #requests: RequestTable;
  #payloadBytesMax = 0;
  #connected = true;
  #state: 'open' | 'draining' | 'closed' = 'open';
  #reason = 'the connection was lost';
  #waiting: WaitingRequest[] = [];
  #waitingBytes = 0;
  /** Published since the last flush was begun, and in all flushes that are under way. */
  #freshBytes = 0;
  #unconfirmedBytes = 0;
  #dropped: { subject: string; count: number } | undefined;

  constructor(connection: NatsConnection, { target, requests, valueBytesMax, home }: NatsBusParts) {
    this.nearby = new Neighbours(home);
    this.valueBytesMax = valueBytesMax ?? Math.floor(totalmem() * VALUE_SHARE_OF_MEMORY);
    this.#connection = connection;
    this.#target = target;
    this.#requests = requests;
    this.#readLimits();
    connection.subscribe(requests.pattern, {
      callback: (error, message) => {
        if (!error) this.#settleRequest(message);
      },
    });
    void this.#watchStatus();
    void this.#watchEnd();
  }

  get connection(): NatsConnection {
    return this.#connection;
  }

  get payloadBytesMax(): number {
    return this.#payloadBytesMax;
  }

  publish(subject: string, data: Uint8Array, options?: PublishOptions): void {
    this.#check(subject, data);
    if (options?.replySubject !== undefined) assertSubject(options.replySubject);
    if (!this.#connected) return;
    if (this.#send(subject, data, options?.replySubject)) return;
    this.#dropped ??= { subject, count: 0 };
    this.#dropped.count += 1;
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options?: SubscribeOptions,
  ): Subscription {
    if (this.#state !== 'open') throw closedError('nats');
    assertSubjectPattern(subject);
    if (options?.queue !== undefined) assertSubject(options.queue);
    const subscription: NatsSubscription = this.#connection.subscribe(subject, {
      ...(options?.queue !== undefined && { queue: options.queue }),
      callback: (error, message) => {
        // An error here is a refused permission, which the status tells; 503 is for requests only.
        if (!error && !isNoResponder(message)) runHandler(handler, toBusMessage(message));
      },
    });
    return {
      unsubscribe: () => {
        if (!subscription.isClosed()) subscription.unsubscribe();
      },
    };
  }

  async request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage> {
    this.#check(subject, data);
    return this.#requests.open(subject, options, (replySubject) => {
      const sent = this.#connected
        ? this.#send(subject, data, replySubject)
        : this.#postpone({ subject, data, replySubject });
      if (!sent) throw overloadedError(subject);
    });
  }

  createInbox(): string {
    return createInbox(this.#target.connection.inboxPrefix);
  }

  onStatus(listener: (status: BusStatus) => void): Subscription {
    return this.#status.add(listener);
  }

  async flush(): Promise<void> {
    if (this.#state === 'closed') throw closedError('nats');
    try {
      await this.#connection.flush();
    } catch (error) {
      throw unavailable(error, this.#target);
    }
  }

  async drain(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'draining';
    if (this.#connected) {
      const drained = this.#connection.drain().catch(() => undefined);
      const late = new AbortController();
      const options = { signal: late.signal };
      await Promise.race([
        drained,
        delay(CLOSE_TIMEOUT_MS, undefined, options).catch(() => undefined),
      ]);
      late.abort();
    }
    await this.close();
  }

  async close(): Promise<void> {
    this.#end(undefined);
    await this.#connection.close();
  }

  #check(subject: string, data: Uint8Array): void {
    if (this.#state === 'closed') throw closedError('nats');
    assertSubject(subject);
    if (data.length > this.#payloadBytesMax) {
      throw tooLargeError(subject, data.length, this.#payloadBytesMax);
    }
  }

  /** False if the server has so much to read already that this would only fill our memory. */
  #send(subject: string, data: Uint8Array, replySubject: string | undefined): boolean {
    const cost = data.length + MESSAGE_OVERHEAD_BYTES;
    if (this.#unconfirmedBytes + this.#freshBytes + cost > UNCONFIRMED_BYTES_MAX) return false;
    const connection = this.#connection;
    const direct =
      data.length >= DIRECT_BYTES_MIN && publishDirectly(connection, subject, data, replySubject);
    if (!direct) {
      connection.publish(subject, data, replySubject === undefined ? {} : { reply: replySubject });
    }
    this.#freshBytes += cost;
    if (this.#freshBytes >= CONFIRM_BYTES) void this.#confirm();
    return true;
  }

  async #confirm(): Promise<void> {
    const bytes = this.#freshBytes;
    this.#freshBytes = 0;
    this.#unconfirmedBytes += bytes;
    // A flush fails when the connection is lost, and with it all that was to be confirmed.
    await this.#connection.flush().catch(() => undefined);
    this.#unconfirmedBytes -= bytes;
    if (this.#dropped && this.#state !== 'closed') {
      const { subject, count } = this.#dropped;
      this.#dropped = undefined;
      this.#status.emit({ type: 'slow-consumer', subject, droppedMessages: count });
    }
  }

  #postpone(request: WaitingRequest): boolean {
    this.#waiting = this.#waiting.filter(({ replySubject }) => this.#requests.has(replySubject));
    this.#waitingBytes = this.#waiting.reduce((sum, { data }) => sum + data.length, 0);
    const full =
      this.#waiting.length >= WAITING_REQUESTS_MAX ||
      this.#waitingBytes + request.data.length > WAITING_BYTES_MAX;
    if (!full) this.#waiting.push(request);
    return !full;
  }

  #sendWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { subject, data, replySubject } of waiting) {
      if (!this.#requests.has(replySubject)) continue;
      if (this.#send(subject, data, replySubject)) continue;
      this.#requests.fail(replySubject, overloadedError(subject));
    }
  }

  #settleRequest(message: Msg): void {
    if (isNoResponder(message)) this.#requests.failNoResponder(message.subject);
    else this.#requests.settle(toBusMessage(message));
  }

  #readLimits(): void {
    const bytes = this.#connection.info?.max_payload;
    if (bytes === undefined) return;
    this.#payloadBytesMax = Math.min(bytes - PAYLOAD_HEADROOM_BYTES, PAYLOAD_BYTES_MAX);
  }

  async #watchStatus(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (this.#state === 'closed') return;
      this.#handleStatus(status);
    }
  }

  #handleStatus(status: Status): void {
    switch (status.type) {
      case 'staleConnection':
        this.#reason = 'the server did not answer for 3 s';
        return;
      case 'error':
        this.#handleServerError(status.error);
        return;
      case 'disconnect':
        this.#connected = false;
        this.#freshBytes = 0;
        this.#status.emit({ type: 'disconnected', reason: this.#reason });
        return;
      case 'reconnect':
        this.#connected = true;
        this.#reason = 'the connection was lost';
        this.#readLimits();
        this.#status.emit({ type: 'connected' });
        this.#sendWaiting();
        return;
      default:
    }
  }

  #handleServerError(error: Error): void {
    const reason = this.#target.redact(error.message);
    if (!(error instanceof natsErrors.PermissionViolationError)) {
      this.#reason = reason;
      return;
    }
    const { subject, operation } = error;
    const refusal = refusedError(operation, subject);
    if (operation === 'publish') this.#requests.failSubject(subject, refusal);
    this.#status.emit({ type: 'refused', subject, error: refusal });
  }

  async #watchEnd(): Promise<void> {
    const error = await this.#connection.closed();
    this.#end(error ?? new Error('the connection ended'));
  }

  #end(cause: Error | undefined): void {
    if (this.#state === 'closed') return;
    const asked = cause === undefined || this.#state === 'draining';
    this.#state = 'closed';
    this.#waiting = [];
    this.nearby.close();
    const { addresses, redact } = this.#target;
    const error = asked
      ? undefined
      : new BusClosedError(`The NATS connection to ${addresses} ended: ${redact(cause.message)}.`);
    this.#requests.failAll(error ?? closedError('nats'));
    this.#status.emit(error ? { type: 'closed', error } : { type: 'closed' });
  }
}

function isNoResponder(message: Msg): boolean {
  return message.data.length === 0 && message.headers?.code === 503;
}

function toBusMessage({ subject, data, reply }: Msg): BusMessage {
  return reply ? { subject, data, replySubject: reply } : { subject, data };
}

function unavailable(error: unknown, target: NatsTarget): BusUnavailableError {
  const { addresses, redact } = target;
  const refused =
    error instanceof natsErrors.AuthorizationError ||
    error instanceof natsErrors.UserAuthenticationExpiredError;
  const why = redact(error instanceof Error ? error.message : String(error));
  const advice = refused
    ? 'The server refuses these credentials: check token, user and password, or key.'
    : adviseOnTls(error, why, target);
  return new BusUnavailableError(`Can't reach NATS at ${addresses} (${why}). ${advice}`);
}

function adviseOnTls(error: unknown, why: string, { connection }: NatsTarget): string {
  const code = String((error as NodeJS.ErrnoException | undefined)?.code ?? '');
  if (/does not support 'tls'/.test(why)) {
    return 'The server has no TLS: give it a certificate, or use nats:// if nobody else reads this network.';
  }
  if (/CERT|ALTNAME|SSL|TLS/.test(code) || /certificate/.test(why)) {
    return "TLS failed: give the authority's certificate (--nats-ca), and check the host's name and your own certificate.";
  }
  // A server that misses it hangs up only when TLS is ready on this side, which then looks like no answer.
  const isMute =
    connection.tls != null && connection.tls.cert === undefined && /no answer/.test(why);
  const certificate = isMute
    ? ' If it asks for a certificate of yours, give it and its key (--nats-cert, --nats-key).'
    : '';
  return `Check the address, or start a server there (nats-server).${certificate}`;
}
