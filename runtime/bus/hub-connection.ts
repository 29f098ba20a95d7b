import type { Socket } from 'node:net';
import { LOCAL_PROTOCOL_VERSION, PACKET, type PacketHead } from './local-wire.ts';
import { PieceReader } from './packet-readers.ts';
import { PacketWriter } from './packet-writer.ts';
import type { Port, Route, RoutedMessage, Router } from './router.ts';
import { assertSubject, assertSubjectPattern, isWild } from './subject.ts';

const HELLO_TIMEOUT_MS = 5_000;
const LAST_WRITE_TIMEOUT_MS = 500;
const SUBSCRIPTIONS_MAX = 100_000;

export interface HubConnectionOptions {
  readonly name: string;
  readonly router: Router;
  readonly log: (text: string) => void;
  readonly limits: { readonly payloadBytesMax: number; readonly pendingBytesMax: number };
}

/** The hub's end of one client. Whatever a client does, only its own connection suffers. */
export class HubConnection implements Port {
  readonly #socket: Socket;
  readonly #options: HubConnectionOptions;
  readonly #writer: PacketWriter;
  readonly #routes = new Map<number, Route>();
  /** Those that match more than one subject, so that their client has to be told which. */
  readonly #wild = new Set<number>();
  #greeted = false;
  #open = true;
  #dropped: { subject: string; count: number } | undefined;

  constructor(socket: Socket, options: HubConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    // What only passes it on takes so little time that an earlier write gains nothing.
    this.#writer = new PacketWriter(socket, { eager: false });
    const reader = new PieceReader(options.limits.payloadBytesMax, (head, pieces) =>
      this.#receive(head, pieces),
    );
    const helloTimer = setTimeout(() => {
      this.#refuse(`it did not introduce itself within ${HELLO_TIMEOUT_MS} ms`);
    }, HELLO_TIMEOUT_MS);
    socket.on('data', (chunk: Buffer) => {
      if (!this.#open) return;
      try {
        reader.push(chunk);
        if (this.#greeted) clearTimeout(helloTimer);
      } catch (error) {
        // Range and type errors come from checks of foreign bytes; all else is our own defect.
        if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
        this.#refuse(error.message);
      }
    });
    socket.on('drain', () => this.#reportDropped());
    // A reset or a broken pipe is a client's death, which 'close' tells as well.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(helloTimer);
      this.#forgetAll();
    });
  }

  deliver(id: number, message: RoutedMessage): boolean {
    const { subject, replySubject: extra, pieces, byteLength } = message;
    const pending = this.#writer.pendingBytes;
    if (pending > 0 && pending + byteLength > this.#options.limits.pendingBytesMax) {
      this.#dropped ??= { subject, count: 0 };
      this.#dropped.count += 1;
      return false;
    }
    const named = this.#wild.has(id) ? subject : '';
    const { message: kind } = PACKET;
    this.#writer.write({ kind, id, subject: named, extra, pieces, byteLength });
    return true;
  }

  end(): void {
    this.#forgetAll();
    this.#writer.flush();
    this.#socket.destroySoon();
    // A client that reads nothing would keep the last bytes, and so the socket, for ever.
    const timer = setTimeout(() => this.#socket.destroy(), LAST_WRITE_TIMEOUT_MS);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #receive(head: PacketHead, pieces: readonly Uint8Array[]): void {
    if (!this.#open) return;
    const { kind, id, subject, extra } = head;
    if (!this.#greeted && kind !== PACKET.hello)
      throw new RangeError('it did not begin with hello');
    switch (kind) {
      case PACKET.publish:
      case PACKET.request:
        this.#publish(head, pieces);
        return;
      case PACKET.subscribe:
        this.#subscribe(id, subject, extra === '' ? undefined : extra);
        return;
      case PACKET.unsubscribe:
        this.#unsubscribe(id);
        return;
      case PACKET.ping:
        this.#writer.write({ kind: PACKET.pong, id });
        return;
      case PACKET.hello:
        this.#greet(id);
        return;
      default:
        throw new RangeError(`it sent a packet of kind ${kind}, which only a hub sends`);
    }
  }

  #greet(version: number): void {
    if (version !== LOCAL_PROTOCOL_VERSION) throw new RangeError(`it speaks version ${version}`);
    this.#greeted = true;
    const { name, limits } = this.#options;
    this.#writer.write({ kind: PACKET.welcome, id: limits.payloadBytesMax, extra: name });
  }

  #publish(head: PacketHead, pieces: readonly Uint8Array[]): void {
    const { kind, subject, extra, payloadBytes } = head;
    const replySubject = extra === '' ? undefined : extra;
    assertSubject(subject);
    if (replySubject !== undefined) assertSubject(replySubject);
    const message = { subject, replySubject, pieces, byteLength: payloadBytes };
    const outcome = this.#options.router.publish(message);
    if (kind !== PACKET.request || outcome === 'delivered') return;
    const answer = outcome === 'nobody' ? PACKET.nobody : PACKET.overloaded;
    this.#writer.write({ kind: answer, subject: extra });
  }

  #subscribe(id: number, pattern: string, queue: string | undefined): void {
    assertSubjectPattern(pattern);
    if (queue !== undefined) assertSubject(queue);
    if (this.#routes.has(id)) throw new RangeError(`it used the subscription number ${id} twice`);
    if (this.#routes.size >= SUBSCRIPTIONS_MAX) {
      throw new RangeError(`it subscribed to over ${SUBSCRIPTIONS_MAX} subjects`);
    }
    if (isWild(pattern)) this.#wild.add(id);
    this.#routes.set(id, this.#options.router.subscribe(this, id, pattern, queue));
  }

  #unsubscribe(id: number): void {
    const route = this.#routes.get(id);
    if (!route) return;
    this.#routes.delete(id);
    this.#wild.delete(id);
    this.#options.router.unsubscribe(route);
  }

  #reportDropped(): void {
    if (!this.#dropped || !this.#open) return;
    const { subject, count } = this.#dropped;
    this.#dropped = undefined;
    this.#writer.write({ kind: PACKET.slowConsumer, id: count, subject });
    const { name, log } = this.#options;
    log(`The local hub dropped ${count} messages for ${name} (${subject}): it reads too slowly.`);
  }

  #refuse(reason: string): void {
    if (!this.#open) return;
    const { name, log } = this.#options;
    log(`The local hub ended its connection ${name}: ${reason}.`);
    const payload = Buffer.from(reason);
    const pieces = [payload];
    this.#writer.write({ kind: PACKET.refused, pieces, byteLength: payload.length });
    this.end();
  }

  #forgetAll(): void {
    this.#open = false;
    for (const route of this.#routes.values()) this.#options.router.unsubscribe(route);
    this.#routes.clear();
  }
}
