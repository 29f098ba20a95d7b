import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { BusClosedError, BusUnavailableError } from '../../../errors.ts';
import type { BusStatus } from '../../../runtime/bus/bus.ts';
import { connectLocalBus } from '../../../runtime/bus/local-bus.ts';
import { type LocalHubOptions, startLocalHub } from '../../../runtime/bus/local-hub.ts';
import {
  LOCAL_PROTOCOL_VERSION,
  PACKET,
  writePacketHead,
} from '../../../runtime/bus/local-wire.ts';
import { collect, pattern, registerBusContract } from '../../support/bus-contract.ts';
import { checkSlowConsumer } from '../../support/bus-slow-consumer.ts';

const timeoutMs = 10_000;

registerBusContract('local', async () => {
  const hub = await startLocalHub();
  const { socketPath } = hub;
  return { connect: () => connectLocalBus({ socketPath, timeoutMs }), close: () => hub.close() };
});

registerBusContract('local in-process', async () => {
  const hub = await startLocalHub();
  return { connect: async () => hub.connect(), close: () => hub.close() };
});

async function startHub(t: ExecutionContext, options: LocalHubOptions = {}) {
  const log: string[] = [];
  const hub = await startLocalHub({ log: (text) => log.push(text), ...options });
  t.teardown(() => hub.close());
  const { socketPath } = hub;
  return { hub, log, socketPath, client: () => connectLocalBus({ socketPath, timeoutMs }) };
}

test('a client and the hub process itself reach each other', async (t) => {
  const { hub, client } = await startHub(t);
  const [inside, outside] = [hub.connect(), await client()];
  inside.subscribe('in', ({ replySubject, data }) => inside.publish(replySubject!, data));
  outside.subscribe('out', ({ replySubject, data }) => outside.publish(replySubject!, data));
  await outside.flush();
  for (const size of [0, 100, 5_000, 300_000, inside.payloadBytesMax]) {
    const sent = pattern(size);
    for (const [bus, subject] of [[outside, 'in'] as const, [inside, 'out'] as const]) {
      const { data } = await bus.request(subject, sent, { timeoutMs });
      t.true(Buffer.from(data).equals(sent), `${size} bytes to ${subject}`);
      t.is(data.byteOffset % 8, 0, 'a frame must decode without a copy');
    }
  }
  await outside.close();
});

test('the socket lies in a directory of this user alone, which close removes', async (t) => {
  const { hub, socketPath } = await startHub(t);
  t.is((await stat(dirname(socketPath))).mode & 0o777, 0o700);
  await Promise.all([hub.close(), hub.close()]);
  await t.throwsAsync(stat(dirname(socketPath)), { code: 'ENOENT' });
  t.throws(() => hub.connect(), { instanceOf: BusClosedError });
});

test('when the hub closes, its clients are told and their requests fail', async (t) => {
  const { hub, client } = await startHub(t);
  const buses = [await client(), hub.connect()];
  buses[0]!.subscribe('never', () => undefined);
  await buses[0]!.flush();
  const ends = buses.map(async (bus) => {
    const closed = new Promise<BusStatus>((resolve) => bus.onStatus(resolve));
    const request = bus.request('never', pattern(1), { timeoutMs: 600_000 });
    await t.throwsAsync(request, { instanceOf: BusClosedError });
    const status = await closed;
    t.true(status.type === 'closed' && status.error instanceof BusClosedError);
    t.throws(() => bus.publish('a', pattern(1)), { instanceOf: BusClosedError });
  });
  await Promise.all(buses.map((bus) => bus.flush()));
  await hub.close();
  await Promise.all(ends);
});

test('when the hub process is killed, waiting requests fail at once', async (t) => {
  const child = fork(fileURLToPath(new URL('../../support/local-hub-process.ts', import.meta.url)));
  const [socketPath] = (await once(child, 'message')) as [string];
  t.teardown(() => rm(dirname(socketPath), { recursive: true }));
  const bus = await connectLocalBus({ socketPath, timeoutMs });
  bus.subscribe('never', () => undefined);
  const closed = new Promise<BusStatus>((resolve) => bus.onStatus(resolve));
  const request = bus.request('never', pattern(1), { timeoutMs: 600_000 });
  const failed = t.throwsAsync(request, { instanceOf: BusClosedError, message: /went away/ });
  const flushed = bus.flush();
  await flushed;
  child.kill('SIGKILL');
  await failed;
  const status = await closed;
  t.true(status.type === 'closed' && status.error instanceof BusClosedError);
  t.throws(() => bus.publish('a', pattern(1)), { instanceOf: BusClosedError });
});

test('a stopped client loses messages, is told so and hurts nobody', async (t) => {
  const { socketPath, client, log } = await startHub(t, { pendingBytesMax: 4 << 20 });
  const scene = { kind: 'local', address: socketPath, told: 'slow-consumer' } as const;
  await checkSlowConsumer(t, { ...scene, connect: client });
  t.regex(log.join('\n'), /dropped \d+ messages for c\d+ \(slow\.data\): it reads too slowly/);
});

function packet(kind: number, subject = '', byteLength = 0, id = 1): Buffer {
  const bytes = Buffer.alloc(2_000);
  const end = writePacketHead(bytes, 0, { kind, id, subject, byteLength });
  return bytes.subarray(0, end);
}
const hello = packet(PACKET.hello, '', 0, LOCAL_PROTOCOL_VERSION);
const otherVersion = Buffer.from(hello);
otherVersion[15] = 9;

const badInput: readonly (readonly [string, Buffer, RegExp])[] = [
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), /no packet/],
  ['another version', otherVersion, /version 9/],
  ['a first packet that is no hello', packet(PACKET.ping), /did not begin with hello/],
  ['an unknown packet', Buffer.concat([hello, packet(77)]), /kind 77/],
  ['a packet of the hub', Buffer.concat([hello, packet(PACKET.welcome)]), /only a hub sends/],
  [
    'a message over the limit',
    Buffer.concat([hello, packet(PACKET.publish, 'a', 2 ** 31)]),
    /over/,
  ],
  ['a bad subject', Buffer.concat([hello, packet(PACKET.publish, 'a b')]), /no subject/],
  ['a bad pattern', Buffer.concat([hello, packet(PACKET.subscribe, 'a.>.b')]), /no subject/],
  [
    'one subscription twice',
    Buffer.concat([hello, packet(PACKET.subscribe, 'a'), packet(PACKET.subscribe, 'b')]),
    /twice/,
  ],
];
for (const [what, input, reason] of badInput) {
  test(`a client that sends ${what} is disconnected, and the others go on`, async (t) => {
    const { socketPath, client, log } = await startHub(t);
    const bus = await client();
    const foreign = connect(socketPath);
    foreign.resume();
    // Byte by byte, so that every packet comes in pieces.
    for (const byte of input) foreign.write(Uint8Array.of(byte));
    await once(foreign, 'close');
    t.is(log.length, 1);
    t.regex(log[0]!, reason);
    const arrived = collect(bus, 'a', 1);
    bus.publish('a', pattern(1));
    t.is((await arrived).length, 1);
    await bus.close();
  });
}

test('clients that send damaged packets harm neither the hub nor each other', async (t) => {
  const { socketPath, client } = await startHub(t);
  const bus = await client();
  bus.subscribe('echo', ({ replySubject, data }) => {
    if (replySubject) bus.publish(replySubject, data);
  });
  await bus.flush();
  const publish = Buffer.concat([packet(PACKET.publish, 'echo', 20), pattern(20)]);
  const good = Buffer.concat([
    hello,
    packet(PACKET.subscribe, 'a.*'),
    publish,
    packet(PACKET.ping),
  ]);
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  const changes = fc.array(change, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(changes, async (edits) => {
      const damaged = Buffer.from(good);
      for (const [at, byte] of edits) damaged[at] = byte;
      const foreign = connect(socketPath);
      foreign.on('error', () => undefined).resume();
      foreign.end(damaged);
      await once(foreign, 'close');
    }),
    { numRuns: 200 },
  );
  const other = await client();
  t.is((await other.request('echo', pattern(77), { timeoutMs })).data.length, 77);
  await Promise.all([bus.close(), other.close()]);
});

test('a client that dies in the middle of a message leaves nothing behind', async (t) => {
  const { socketPath, client } = await startHub(t);
  const bus = await client();
  bus.subscribe('half', () => t.fail('half a message arrived'));
  await bus.flush();
  const foreign = connect(socketPath);
  foreign.write(Buffer.concat([hello, packet(PACKET.publish, 'half', 1_000), pattern(500)]));
  await once(foreign, 'data');
  foreign.destroy();
  await once(foreign, 'close');
  await bus.flush();
  t.is(
    (await bus.request('none', pattern(1), { timeoutMs }).catch((error) => error.code)) as string,
    'NO_RESPONDER',
  );
  await bus.close();
});

test('a hub that is not there is reported with its path', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'codistill-test-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const socketPath = join(directory, 'none');
  const error = await t.throwsAsync(connectLocalBus({ socketPath, timeoutMs }), {
    instanceOf: BusUnavailableError,
  });
  t.true(error?.message.includes(socketPath));
});

test('something else that listens there is not taken for a hub', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'codistill-test-'));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.resume();
    if (sockets.length === 1) socket.write('220 ready to take your mail today\r\n');
  });
  const socketPath = join(directory, 'other');
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });
  await t.throwsAsync(connectLocalBus({ socketPath, timeoutMs }), {
    instanceOf: BusUnavailableError,
    message: /no local hub/,
  });
  await t.throwsAsync(connectLocalBus({ socketPath, timeoutMs: 50 }), {
    instanceOf: BusUnavailableError,
    message: /no answer within 50 ms/,
  });
});

test('a path that no socket can have is refused', async (t) => {
  const socketPath = join(tmpdir(), 'x'.repeat(120));
  await t.throwsAsync(startLocalHub({ socketPath }), {
    instanceOf: BusUnavailableError,
    message: /at most \d+ bytes/,
  });
});
