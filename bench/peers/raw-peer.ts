/**
 * The far sides of raw round trips, without any actor or bus of ours. `echo` answers every message with
 * itself; `drive` keeps calls in flight on demand: it reads `WIDTH MILLISECONDS` from standard input and
 * writes how many round trips that came to.
 */
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { connect } from '@nats-io/transport-node';
import { drive } from '../calls/drive.ts';
import { connectRawSocket, echoFrames } from '../calls/raw-socket.ts';

const [role, kind, address, subject = ''] = process.argv.slice(2) as string[];
if (kind === 'socket' && role === 'echo') {
  await new Promise<void>((ready) => createServer(echoFrames).listen(address, ready));
} else if (kind === 'socket') {
  const socket = await connectRawSocket(address!);
  await serveDrives((bytes) => socket.request(bytes));
} else {
  const connection = await connect({ servers: address! });
  if (role === 'echo') {
    const callback = (_error: unknown, message: { data: Uint8Array; respond: Respond }) =>
      void message.respond(message.data);
    connection.subscribe(subject, { callback });
    await connection.flush();
  } else {
    await serveDrives((bytes) => connection.request(subject, bytes, { timeout: 30_000 }));
  }
}
if (role === 'echo') {
  console.log('ready');
  process.stdin.once('end', () => process.exit(0)).resume();
}

type Respond = (data: Uint8Array) => boolean;

async function serveDrives(roundTrip: (bytes: Uint8Array) => Promise<unknown>): Promise<void> {
  console.log('ready');
  for await (const line of createInterface({ input: process.stdin })) {
    const [width, durationMs] = line.split(' ').map(Number) as [number, number];
    console.log(await drive(roundTrip, width, durationMs));
  }
  process.exit(0);
}
