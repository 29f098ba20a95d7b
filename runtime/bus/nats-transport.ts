import { createConnection, type Socket } from 'node:net';
import {
  type NatsConnection,
  NatsConnectionImpl,
  type NodeConnectionOptions,
  setTransportFactory,
} from '@nats-io/transport-node';
import { NodeTransport, nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';
import { type AnswerPlaces, NatsAnswerReader } from './nats-answer-reader.ts';

const LINE_END = Buffer.from('\r\n');

interface DirectOptions extends NodeConnectionOptions {
  /** The client keeps what it doesn't know, and hands it to the transport of each attempt. */
  readonly places?: AnswerPlaces;
}

type Address = Parameters<NodeTransport['dial']>[0];

/**
 * As the client's own `connect`, on a transport that reads large answers straight into their
 * places and writes large payloads from where they lie. The client copies each once to write and
 * twice to read, which costs more than the kernel does.
 */
export async function connectDirectly(
  options: NodeConnectionOptions,
  places: AnswerPlaces,
): Promise<NatsConnection> {
  // For the whole process, so that a connection of somebody else may come to have one: it has no places.
  setTransportFactory({ factory: () => new DirectTransport(), dnsResolveFn: nodeResolveHost });
  const direct: DirectOptions = { ...options, places };
  return await NatsConnectionImpl.connect(direct as object);
}

/**
 * Publishes after all that was published before, without a copy.
 * @returns false where that can't be done: the client's own `publish` can.
 */
export function publishDirectly(
  connection: NatsConnection,
  subject: string,
  payload: Uint8Array,
  replySubject: string | undefined,
): boolean {
  const { protocol } = connection as NatsConnectionImpl;
  const { transport, outbound } = protocol;
  if (!(transport instanceof DirectTransport) || !protocol.connected) return false;
  if (outbound.size() > 0) transport.send(outbound.drain());
  transport.sendMessage(subject, payload, replySubject);
  return true;
}

class DirectTransport extends NodeTransport {
  /** Where a socket that reads in place leads to. */
  #address: Address | undefined;

  override async dial(address: Address): Promise<Socket> {
    const { places, tls } = this.options as DirectOptions;
    // Deno's sockets don't read in place, and what is encrypted has to be decrypted first.
    if (places === undefined || tls || 'Deno' in globalThis) return await super.dial(address);
    this.#address = address;
    return await dialInPlace(address, places);
  }

  override async startTLS(): ReturnType<NodeTransport['startTLS']> {
    if (this.#address) {
      // Only the server wants it: dialled anew, since what reads in place can't be encrypted.
      this.socket.destroy();
      this.yields = [];
      this.socket = await super.dial(this.#address);
      await this.peekInfo();
    }
    return await super.startTLS();
  }

  sendMessage(subject: string, payload: Uint8Array, replySubject: string | undefined): void {
    const reply = replySubject === undefined ? '' : `${replySubject} `;
    const { socket } = this;
    if (this.isClosed || !socket.writable) return;
    socket.cork();
    socket.write(`PUB ${subject} ${reply}${payload.length}\r\n`);
    socket.write(payload);
    socket.write(LINE_END);
    socket.uncork();
  }
}

async function dialInPlace(address: Address, places: AnswerPlaces): Promise<Socket> {
  const reader = new NatsAnswerReader(places, (bytes) => void socket.emit('data', bytes));
  const socket = createConnection({
    host: address.hostname,
    port: address.port,
    noDelay: true,
    onread: {
      buffer: () => reader.buffer(),
      callback: (byteLength) => {
        reader.received(byteLength);
        return true;
      },
    },
  });
  await new Promise<void>((resolve, reject) => {
    let failure: Error | undefined;
    socket.on('connect', () => resolve());
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => reject(failure));
  });
  socket.removeAllListeners();
  return socket;
}
