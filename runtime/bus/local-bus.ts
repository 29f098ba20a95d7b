import { createConnection, type Socket } from 'node:net';
import {
  BusClosedError,
  BusUnavailableError,
  type CodistillError,
  DeadlineError,
} from '../../errors.ts';
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
import { closedError, overloadedError, tooLargeError } from './bus-errors.ts';
import { runHandler, StatusListeners } from './bus-status.ts';
import { LOCAL_PROTOCOL_VERSION, PACKET, type PacketHead } from './local-wire.ts';
import { InPlaceReader } from './packet-readers.ts';
import { PacketWriter } from './packet-writer.ts';
import { RequestTable } from './request-table.ts';
import { answersInbox, assertSubject, assertSubjectPattern } from './subject.ts';

/** Above what any hub lets through; the hub's own limit comes with its welcome. */
const HUB_PAYLOAD_BYTES_MAX = 1 << 30;
/** What may wait to be written to the hub; more is dropped, as it would be at the hub. */
const OUTGOING_BYTES_MAX = 64 << 20;
const FLUSH_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 1_000;

export interface LocalBusOptions {
  readonly socketPath: string;
  readonly timeoutMs: number;
}

/**
 * Connects to the hub of this host. The connection does not come back when the hub goes away: its
 * status is then `closed`, and what awaits an answer is rejected at once.
 *
 * @throws BusUnavailableError
 */
export async function connectLocalBus({ socketPath, timeoutMs }: LocalBusOptions): Promise<Bus> {
  const bus = new LocalBus(socketPath);
  await bus.greet(timeoutMs);
  return bus;
}

interface Listener {
  readonly pattern: string;
  handle(message: BusMessage): void;
}

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

class LocalBus implements Bus {
  readonly kind = 'local';
  readonly clock = systemClock;
  payloadBytesMax = 0;
  readonly #socketPath: string;
  readonly #socket: Socket;
  readonly #writer: PacketWriter;
  readonly #status = new StatusListeners();
  readonly #listeners = new Map<number, Listener>();
  readonly #pongs = new Map<number, Waiter>();
  #requests: RequestTable | undefined;
  #inbox = '';
  #welcome: Waiter | undefined;
  #lastId = 0;
  #lastInbox = 0;
  #state: 'greeting' | 'open' | 'draining' | 'closed' = 'greeting';
  #dropped: { subject: string; count: number } | undefined;
  #cause: Error | undefined;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
    const reader = new InPlaceReader(
      HUB_PAYLOAD_BYTES_MAX,
      ({ subject, payloadBytes }) => this.#requests?.placeFor(subject, payloadBytes),
      (head, payload) => this.#receive(head, payload),
    );
    this.#socket = connectSocket(socketPath, reader, (error) => this.#end(error));
    this.#writer = new PacketWriter(this.#socket, { eager: true });
    this.#socket.on('drain', () => this.#reportDropped());
    this.#socket.on('error', (error) => {
      this.#cause = error;
    });
    this.#socket.on('close', () => this.#end(this.#cause));
  }

  /** @throws BusUnavailableError */
  async greet(timeoutMs: number): Promise<void> {
    const place = `the local hub at ${this.#socketPath}`;
    try {
      await new Promise<void>((resolve, reject) => {
        const late = new DeadlineError(`no answer within ${timeoutMs} ms`);
        const timer = setTimeout(() => reject(late), timeoutMs);
        this.#welcome = {
          resolve: () => {
            clearTimeout(timer);
            resolve();
          },
          reject: (error) => {
            clearTimeout(timer);
            reject(error);
          },
        };
        this.#writer.write({ kind: PACKET.hello, id: LOCAL_PROTOCOL_VERSION });
      });
    } catch (cause) {
      this.#socket.destroy();
      const reason = cause instanceof Error ? cause.message : String(cause);
      const text = `Can't connect to ${place}: ${reason}. Is the process that started it alive?`;
      throw new BusUnavailableError(text, { cause });
    }
  }

  publish(subject: string, data: Uint8Array, options?: PublishOptions): void {
    const sent = this.#send(PACKET.publish, subject, data, options?.replySubject);
    if (sent) return;
    this.#dropped ??= { subject, count: 0 };
    this.#dropped.count += 1;
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options?: SubscribeOptions,
  ): Subscription {
    if (this.#state !== 'open') throw closedError('local');
    assertSubjectPattern(subject);
    if (options?.queue !== undefined) assertSubject(options.queue);
    this.#lastId += 1;
    const id = this.#lastId;
    this.#listeners.set(id, { pattern: subject, handle: handler });
    this.#writer.write({ kind: PACKET.subscribe, id, subject, extra: options?.queue });
    return {
      unsubscribe: () => {
        if (!this.#listeners.delete(id) || this.#state === 'closed') return;
        this.#writer.write({ kind: PACKET.unsubscribe, id });
      },
    };
  }

  async request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage> {
    const requests = this.#requests;
    if (!requests) throw closedError('local');
    return requests.open(subject, options, (replySubject) => {
      const sent = this.#send(PACKET.request, subject, data, replySubject);
      if (!sent) throw overloadedError(subject);
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
    if (this.#state === 'closed') throw closedError('local');
    this.#lastId += 1;
    const id = this.#lastId;
    const text = `The local hub did not answer within ${FLUSH_TIMEOUT_MS} ms.`;
    const timer = setTimeout(
      () => this.#pongs.get(id)?.reject(new DeadlineError(text)),
      FLUSH_TIMEOUT_MS,
    );
    try {
      await new Promise<void>((resolve, reject) => {
        this.#pongs.set(id, { resolve, reject });
        this.#writer.write({ kind: PACKET.ping, id });
      });
    } finally {
      clearTimeout(timer);
      this.#pongs.delete(id);
    }
  }

  async drain(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'draining';
    for (const id of this.#listeners.keys()) this.#writer.write({ kind: PACKET.unsubscribe, id });
    // What the hub sent before its answer has then been handled; a second flush takes our answers.
    await this.flush();
    this.#listeners.clear();
    await this.flush();
    await this.close();
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#writer.flush();
    this.#end(undefined, true);
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
      this.#socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#socket.destroySoon();
    });
  }

  #send(kind: number, subject: string, data: Uint8Array, extra: string | undefined): boolean {
    if (this.#state === 'closed') throw closedError('local');
    assertSubject(subject);
    if (extra !== undefined) assertSubject(extra);
    if (data.length > this.payloadBytesMax) {
      throw tooLargeError(subject, data.length, this.payloadBytesMax);
    }
    const pending = this.#writer.pendingBytes;
    if (pending > 0 && pending + data.length > OUTGOING_BYTES_MAX) return false;
    this.#writer.write({ kind, subject, extra, pieces: [data], byteLength: data.length });
    return true;
  }

  #receive(head: PacketHead, payload: Uint8Array): void {
    const { kind, id, subject, extra } = head;
    switch (kind) {
      case PACKET.message: {
        const listener = this.#listeners.get(id);
        if (listener === undefined) return;
        const message = { subject: subject === '' ? listener.pattern : subject, data: payload };
        runHandler(listener.handle, extra ? { ...message, replySubject: extra } : message);
        return;
      }
      case PACKET.nobody:
        this.#requests?.failNoResponder(subject);
        return;
      case PACKET.overloaded:
        this.#requests?.fail(subject, overloadedError('the request'));
        return;
      case PACKET.pong:
        this.#pongs.get(id)?.resolve();
        return;
      case PACKET.slowConsumer:
        this.#status.emit({ type: 'slow-consumer', subject, droppedMessages: id });
        return;
      case PACKET.refused:
        this.#cause = new BusClosedError(
          `The local hub ended the connection: ${Buffer.from(payload).toString()}.`,
        );
        return;
      case PACKET.welcome:
        this.#open(id, extra);
        return;
      default:
        throw new RangeError(`it sent a packet of kind ${kind}, which only a client sends`);
    }
  }

  #open(payloadBytesMax: number, name: string): void {
    if (this.#state !== 'greeting') return;
    this.#state = 'open';
    this.payloadBytesMax = payloadBytesMax;
    this.#inbox = `_INBOX.${name}`;
    const requests = new RequestTable(answersInbox(this.#inbox), systemClock);
    this.#requests = requests;
    this.subscribe(requests.pattern, (message) => requests.settle(message));
    this.#welcome?.resolve();
  }

  #reportDropped(): void {
    if (!this.#dropped) return;
    const { subject, count } = this.#dropped;
    this.#dropped = undefined;
    this.#status.emit({ type: 'slow-consumer', subject, droppedMessages: count });
  }

  #end(cause: Error | undefined, asked = false): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    const error = asked ? undefined : this.#lossError(cause);
    this.#listeners.clear();
    this.#welcome?.reject(error ?? closedError('local'));
    this.#requests?.failAll(error ?? closedError('local'));
    for (const pong of this.#pongs.values()) pong.reject(error ?? closedError('local'));
    if (!asked) this.#socket.destroy();
    this.#status.emit(error ? { type: 'closed', error } : { type: 'closed' });
  }

  #lossError(cause: Error | undefined): CodistillError {
    if (cause instanceof BusClosedError) return cause;
    const why = cause ? `: ${cause.message}` : '';
    const text = `The local hub at ${this.#socketPath} went away${why}.`;
    return new BusClosedError(text, cause ? { cause } : undefined);
  }
}

/** Reads into the places that `reader` names; `fail` hears of bytes that no hub sends. */
function connectSocket(path: string, reader: InPlaceReader, fail: (error: Error) => void): Socket {
  const guarded = (read: () => void): void => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      fail(new BusClosedError(`What listens at ${path} is no local hub: ${error.message}.`));
    }
  };
  // Deno's sockets don't read in place.
  if ('Deno' in globalThis) {
    const socket = createConnection({ path });
    socket.on('data', (chunk: Buffer) => guarded(() => reader.push(chunk)));
    return socket;
  }
  return createConnection({
    path,
    onread: {
      buffer: () => reader.buffer(),
      callback: (bytes) => {
        guarded(() => reader.received(bytes));
        return true;
      },
    },
  });
}
