import { BusClosedError, DamagedDataError, ObjectLostError } from '../../errors.ts';
import type { Bus, BusMessage, Subscription } from '../bus/bus.ts';
import { serveControl } from '../calls/control.ts';
import { subjects } from '../wire/address.ts';
import { fetchChunks } from '../wire/chunk-fetch.ts';
import { decodeChunkRequest } from '../wire/chunk-request.ts';
import { chunkBytesOn } from '../wire/chunks.ts';
import type {
  ObjectAddress,
  ObjectPutMessage,
  TravellingAddress,
} from '../wire/object-messages.ts';
import type { WireMessage } from '../wire/wire.ts';
import type { ObjectStore } from './object-store.ts';
import { LEASE_MS } from './object-table.ts';

/** Whoever puts waits no longer; what it offers ends with its own deadline. */
const PUT_TIMEOUT_MS = 600_000;
const NO_BYTES: Uint8Array = new Uint8Array();

export interface ObjectServerOptions {
  readonly bus: Bus;
  readonly namespace: string;
  readonly store: ObjectStore;
  copyOnce(address: ObjectAddress): Promise<void>;
  /** Holds what an object refers to; returns what ends that. */
  hold(inner: readonly TravellingAddress[]): () => void;
}

/** Lets the processes on one bus use a node's store: those of its host, or those of all others. */
export class ObjectServer {
  readonly #options: ObjectServerOptions;
  readonly #prefix: string;
  readonly #serving: readonly Subscription[];

  constructor(options: ObjectServerOptions) {
    this.#options = options;
    const { bus, namespace, store } = options;
    this.#prefix = subjects.object(namespace, store.nodeId, '');
    this.#serving = [
      serveControl(bus, subjects.objects(namespace, store.nodeId), (message) =>
        this.#answer(message),
      ),
      bus.subscribe(`${this.#prefix}*`, (message) => this.#serveChunk(message)),
    ];
  }

  close(): void {
    for (const subscription of this.#serving) subscription.unsubscribe();
  }

  async #answer(message: WireMessage): Promise<WireMessage | undefined> {
    const { store, copyOnce, hold } = this.#options;
    switch (message.kind) {
      case 'object-put': {
        const { holder, byteLength, inner } = message;
        const receive = (): Promise<Uint8Array> => this.#receive(message);
        const onFree = inner && hold(inner);
        const address = await store.put(holder, LEASE_MS, byteLength, receive, onFree);
        return { kind: 'object-stored', address };
      }
      case 'object-fetch':
        await copyOnce(message.address);
        break;
      case 'object-check':
        // Also finds out whether it can be read back from disk.
        await store.read(message.id);
        break;
      case 'object-leases':
        store.hold(message.holder, message.hold, message.leaseMs);
        store.release(message.holder, message.release);
        // Who is told only that somebody lets go asks for no answer.
        break;
      default:
        return undefined;
    }
    return { kind: 'done' };
  }

  async #receive({ value, chunks, byteLength }: ObjectPutMessage): Promise<Uint8Array> {
    if (chunks?.byteLength === byteLength) {
      return await fetchChunks(this.#options.bus, chunks, { timeoutMs: PUT_TIMEOUT_MS });
    }
    // Copied out of its message, which is larger.
    if (value instanceof Uint8Array && value.length === byteLength) return value.slice();
    throw new DamagedDataError(`an object of ${byteLength} bytes came with another length`);
  }

  #serveChunk({ subject, data, replySubject }: BusMessage): void {
    const request = decodeChunkRequest(data);
    if (request === undefined || replySubject === undefined) return;
    const { bus, store } = this.#options;
    const id = subject.slice(this.#prefix.length);
    const answer = (source: { answer(asked: typeof request): Uint8Array | undefined }): void => {
      const bytes = source.answer(request);
      if (bytes !== undefined) this.#publish(replySubject, bytes);
    };
    // Nothing tells the receiver to ask why, whatever the reason.
    const refuse = (): void => this.#publish(replySubject, NO_BYTES);
    try {
      const chunkBytes = bus.kind === 'local' ? chunkBytesOn(bus) : undefined;
      const source = store.source(id, chunkBytes);
      if (source instanceof Promise) source.then(answer, refuse);
      else answer(source);
    } catch (error) {
      if (!(error instanceof ObjectLostError)) throw error;
      refuse();
    }
  }

  #publish(subject: string, bytes: Uint8Array): void {
    try {
      this.#options.bus.publish(subject, bytes);
    } catch (error) {
      // Closed while a file was read: nobody waits any more.
      if (!(error instanceof BusClosedError)) throw error;
    }
  }
}
