/**
 * One end of a transfer, in a process of its own. A sender hands out its value to whoever asks; a
 * receiver fetches it again and again and prints the milliseconds of each round as JSON.
 */
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { connect, createInbox } from '@nats-io/transport-node';
import type { Bus } from '../../runtime/bus/bus.ts';
import { connectLocalBus, connectNatsBus, decodeFrame, encodeFrame } from '../../runtime/index.ts';
import { fetchChunks } from '../../runtime/wire/chunk-fetch.ts';
import { type ChunkReference, offerChunks } from '../../runtime/wire/chunks.ts';

const CHUNK_BYTES = 256 << 10;
const CREDIT_CHUNKS = 16;
const SUBJECT = 'bench.value';
const timeoutMs = 30_000;

const [lane, role, address, size, rounds, warmUpRounds] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const value = new Uint8Array(Number(size)).fill(7);

const senders: Readonly<Record<string, () => Promise<void>>> = {
  'raw-socket': sendRawSocket,
  'raw-nats': sendRawNats,
  local: async () => sendChunks(await connectBus()),
  nats: async () => sendChunks(await connectBus()),
};
/** Each gives a function that fetches the value once. */
const receivers: Readonly<Record<string, () => Promise<() => Promise<unknown>>>> = {
  'raw-socket': receiveRawSocket,
  'raw-nats': receiveRawNats,
  local: async () => receiveChunks(await connectBus()),
  nats: async () => receiveChunks(await connectBus()),
};

process.stdin.once('end', () => process.exit(0)).resume();
if (role === 'send') {
  await senders[lane]!();
  console.log('ready');
} else {
  const fetchOnce = await receivers[lane]!();
  const times: number[] = [];
  for (let round = -Number(warmUpRounds); round < Number(rounds); round += 1) {
    const start = performance.now();
    await fetchOnce();
    if (round >= 0) times.push(performance.now() - start);
  }
  console.log(JSON.stringify(times));
}

function connectBus(): Promise<Bus> {
  return lane === 'local'
    ? connectLocalBus({ socketPath: address, timeoutMs })
    : connectNatsBus({ servers: address, timeoutMs });
}

async function sendChunks(bus: Bus): Promise<void> {
  bus.subscribe(SUBJECT, ({ replySubject }) => {
    const { reference } = offerChunks(bus, value, { timeoutMs });
    bus.publish(replySubject!, encodeFrame(reference));
  });
  await bus.flush();
}

function receiveChunks(bus: Bus): () => Promise<unknown> {
  return async () => {
    const answer = await bus.request(SUBJECT, new Uint8Array(), { timeoutMs });
    return fetchChunks(bus, decodeFrame(answer.data) as ChunkReference, { timeoutMs });
  };
}

async function sendRawSocket(): Promise<void> {
  const server = createServer((socket) => socket.on('data', () => socket.write(value)));
  server.listen(address);
  await once(server, 'listening');
}

async function receiveRawSocket(): Promise<() => Promise<void>> {
  let target: Uint8Array = new Uint8Array();
  let filled = 0;
  let whole = (): void => undefined;
  const socket = createConnection({
    path: address,
    onread: {
      // Between two rounds there is nothing to read, but a place must be named.
      buffer: () => (filled < target.length ? target.subarray(filled) : new Uint8Array(1)),
      callback: (bytes) => {
        filled += bytes;
        if (filled === target.length) whole();
        return true;
      },
    },
  });
  await once(socket, 'connect');
  return () =>
    new Promise((resolve) => {
      whole = resolve;
      // A new one each time, as for all lanes: whoever fetches a value keeps it.
      target = Buffer.allocUnsafeSlow(value.length);
      filled = 0;
      socket.write('x');
    });
}

/** The least that is safe on NATS: chunks with credit, no checksums, no repeats. */
async function sendRawNats(): Promise<void> {
  const connection = await connect({ servers: address });
  connection.subscribe(SUBJECT, {
    callback: (_error, request) => {
      let sent = 0;
      const credit = createInbox();
      const sendNext = (): void => {
        if (sent >= value.length) return;
        request.respond(value.subarray(sent, sent + CHUNK_BYTES), { reply: credit });
        sent += CHUNK_BYTES;
      };
      connection.subscribe(credit, {
        max: Math.ceil(value.length / CHUNK_BYTES),
        callback: sendNext,
      });
      for (let i = 0; i < CREDIT_CHUNKS; i += 1) sendNext();
    },
  });
  await connection.flush();
}

async function receiveRawNats(): Promise<() => Promise<void>> {
  const connection = await connect({ servers: address });
  return () =>
    new Promise((resolve) => {
      const target = Buffer.allocUnsafeSlow(value.length);
      let filled = 0;
      const inbox = createInbox();
      const subscription = connection.subscribe(inbox, {
        callback: (_error, { data, reply }) => {
          target.set(data, filled);
          filled += data.length;
          connection.publish(reply!);
          if (filled < target.length) return;
          subscription.unsubscribe();
          resolve();
        },
      });
      connection.publish(SUBJECT, undefined, { reply: inbox });
    });
}
