import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { nkeys } from '@nats-io/transport-node';
import test, { type ExecutionContext } from 'ava';
import { BusClosedError, BusUnavailableError, DeadlineError } from '../../../errors.ts';
import type { Bus, BusStatus } from '../../../runtime/bus/bus.ts';
import { connectNatsBus } from '../../../runtime/bus/nats-bus.ts';
import { collect, pattern, registerBusContract } from '../../support/bus-contract.ts';
import { checkSlowConsumer } from '../../support/bus-slow-consumer.ts';
import {
  type NatsServerOptions,
  startNatsCluster,
  startNatsServer,
} from '../../support/nats-server.ts';

const timeoutMs = 15_000;

registerBusContract('NATS', async () => {
  const server = await startNatsServer();
  const connect = () => connectNatsBus({ servers: server.url, timeoutMs });
  return { connect, close: () => server.stop() };
});

async function startServer(t: ExecutionContext, options?: NatsServerOptions) {
  const server = await startNatsServer(options);
  t.teardown(() => server.stop());
  const connect = async (): Promise<Bus> => {
    const bus = await connectNatsBus({ servers: server.url, timeoutMs });
    t.teardown(() => bus.close());
    return bus;
  };
  return { server, connect };
}

/** Must be asked for before the change; resolves with the first status of the type. */
function statusOf<Type extends BusStatus['type']>(
  bus: Bus,
  type: Type,
): Promise<Extract<BusStatus, { type: Type }>> {
  return new Promise((resolve) => {
    const subscription = bus.onStatus((status) => {
      if (status.type !== type) return;
      subscription.unsubscribe();
      resolve(status as Extract<BusStatus, { type: Type }>);
    });
  });
}

test('a connection outlives its server: subscriptions and requests go on', async (t) => {
  const { server, connect } = await startServer(t);
  const [caller, responder] = [await connect(), await connect()];
  responder.subscribe('echo', ({ replySubject, data }) => responder.publish(replySubject!, data));
  await responder.flush();
  const away = [statusOf(caller, 'disconnected'), statusOf(responder, 'disconnected')];
  const back = [statusOf(caller, 'connected'), statusOf(responder, 'connected')];
  await server.kill();
  t.truthy((await Promise.all(away))[0]?.reason);
  caller.publish('echo', pattern(1));
  const short = caller.request('echo', pattern(1), { timeoutMs: 20 });
  await t.throwsAsync(short, { instanceOf: DeadlineError });
  const arrived = collect(responder, 'echo', 2);
  const patient = caller.request('echo', pattern(2), { timeoutMs: 60_000 }).catch((error) => error);
  await server.start();
  await Promise.all(back);
  await responder.flush();
  // The waiting request may have come before the responder was back.
  const first = await patient;
  if (first instanceof Error) t.is((first as { code?: string }).code, 'NO_RESPONDER');
  else t.is(first.data.length, 2);
  const again = await caller.request('echo', pattern(3), { timeoutMs });
  t.is(again.data.length, 3);
  if (first instanceof Error) await caller.request('echo', pattern(2), { timeoutMs });
  const sizes = (await arrived).map(({ data }) => data.length).sort();
  t.deepEqual(sizes, [2, 3], 'what was published while disconnected is lost');
});

test('a large answer is read into the place that was asked for, also after a reconnection', async (t) => {
  const { server, connect } = await startServer(t);
  const [caller, responder] = [await connect(), await connect()];
  responder.subscribe('large', ({ replySubject }) => {
    responder.publish(replySubject!, pattern(300_000));
  });
  await responder.flush();
  const ask = async (): Promise<void> => {
    const into = new Uint8Array(300_000);
    const { data } = await caller.request('large', pattern(1), { timeoutMs, into });
    t.is(data, into);
    t.true(Buffer.from(into).equals(pattern(300_000)));
  };
  await ask();
  const back = [statusOf(caller, 'connected'), statusOf(responder, 'connected')];
  await server.kill();
  await server.start();
  await Promise.all(back);
  await responder.flush();
  await ask();
});

test('a request in flight survives the loss of the connection', async (t) => {
  const { server, connect } = await startServer(t);
  const [caller, responder] = [await connect(), await connect()];
  const question = collect(responder, 'slow', 1);
  await responder.flush();
  const answer = caller.request('slow', pattern(1), { timeoutMs: 60_000 });
  const [asked] = await question;
  const back = [statusOf(caller, 'connected'), statusOf(responder, 'connected')];
  await server.kill();
  await server.start();
  await Promise.all(back);
  await caller.flush();
  responder.publish(asked!.replySubject!, pattern(9));
  t.is((await answer).data.length, 9);
});

test('a server that hangs is noticed', async (t) => {
  const { server, connect } = await startServer(t);
  const bus = await connect();
  const [away, back] = [statusOf(bus, 'disconnected'), statusOf(bus, 'connected')];
  server.pause();
  t.regex((await away).reason, /did not answer/);
  server.resume();
  await back;
  await bus.flush();
});

test('a bus can be closed and drained while its server is away', async (t) => {
  const { server, connect } = await startServer(t);
  const [closing, draining] = [await connect(), await connect()];
  const away = [statusOf(closing, 'disconnected'), statusOf(draining, 'disconnected')];
  await server.kill();
  await Promise.all(away);
  const request = closing.request('a', pattern(1), { timeoutMs: 60_000 });
  const rejected = t.throwsAsync(request, { instanceOf: BusClosedError });
  await Promise.all([closing.close(), draining.drain()]);
  await rejected;
});

test('what waits for the connection is bounded', async (t) => {
  const { server, connect } = await startServer(t);
  const bus = await connect();
  const away = statusOf(bus, 'disconnected');
  await server.kill();
  await away;
  const outcomes = Array.from({ length: 12 }, () =>
    bus.request('a', new Uint8Array(1_000_000), { timeoutMs: 60_000 }).catch((error) => error.code),
  );
  const refused = await Promise.race(outcomes);
  t.is(refused, 'BUS_OVERLOADED');
  await bus.close();
  const codes = (await Promise.all(outcomes)) as string[];
  t.deepEqual(
    [...new Set(codes)].map((code) => [code, codes.filter((other) => other === code).length]),
    [
      ['BUS_CLOSED', 8],
      ['BUS_OVERLOADED', 4],
    ],
  );
});

test('publishing faster than the server reads does not grow without bound', async (t) => {
  const { server, connect } = await startServer(t);
  const bus = await connect();
  const told = statusOf(bus, 'slow-consumer');
  server.pause();
  for (let i = 0; i < 300; i += 1) bus.publish('flood', new Uint8Array(1_000_000));
  await t.throwsAsync(bus.request('flood', new Uint8Array(1_000_000), { timeoutMs: 60_000 }), {
    code: 'BUS_OVERLOADED',
  });
  server.resume();
  const { droppedMessages } = await told;
  t.true(droppedMessages >= 300 - 67, `${droppedMessages} were dropped`);
  await bus.flush();
});

test('a stopped client is cut off, comes back and hurts nobody', async (t) => {
  const { server, connect } = await startServer(t, { config: ['max_pending: 4MB'] });
  await checkSlowConsumer(t, {
    kind: 'nats',
    address: server.url,
    told: 'disconnected',
    afterwards: 'connected',
    connect,
  });
});

test('the payload limit is that of the server', async (t) => {
  const { connect } = await startServer(t, { config: ['max_payload: 64KB'] });
  const bus = await connect();
  t.is(bus.payloadBytesMax, (64 << 10) - 1024);
});

const permissions = [
  'authorization { users: [',
  '  { user: "ann", password: "correct horse", permissions: {',
  '    publish: { deny: "secret.>" }, subscribe: { deny: "secret.>" } } }',
  '] }',
];

test('a refused subject is reported, and a request to it fails at once', async (t) => {
  const { server } = await startServer(t, { config: permissions });
  const bus = await connectNatsBus({
    servers: server.url,
    user: 'ann',
    password: 'correct horse',
    timeoutMs,
  });
  t.teardown(() => bus.close());
  const told = statusOf(bus, 'refused');
  const request = bus.request('secret.a', pattern(1), { timeoutMs: 60_000 });
  await t.throwsAsync(request, {
    instanceOf: BusUnavailableError,
    message: /secret\.a.*permissions/,
  });
  t.is((await told).subject, 'secret.a');
  const toldAgain = statusOf(bus, 'refused');
  bus.subscribe('secret.b', () => undefined);
  t.regex((await toldAgain).error.message, /subscribe to "secret\.b"/);
  await bus.flush();
});

test('credentials may stand in the address', async (t) => {
  const { server } = await startServer(t, { config: permissions });
  const servers = `nats://ann:correct%20horse@127.0.0.1:${server.port}`;
  const bus = await connectNatsBus({ servers, timeoutMs });
  const arrived = collect(bus, 'a', 1);
  bus.publish('a', pattern(3));
  t.is((await arrived)[0]?.data.length, 3);
  await bus.close();
});

test('refused credentials are reported, but never shown', async (t) => {
  const { server } = await startServer(t, { config: permissions });
  const { port } = server;
  const attempts = [
    { servers: `nats://ann:hunter2@127.0.0.1:${port}` },
    { servers: `nats://hunter2@127.0.0.1:${port}` },
    { servers: server.url, user: 'ann', password: 'hunter2' },
    { servers: server.url, token: 'hunter2' },
  ];
  for (const attempt of attempts) {
    const error = await t.throwsAsync(connectNatsBus({ ...attempt, timeoutMs }), {
      instanceOf: BusUnavailableError,
      message: /refuses these credentials/,
    });
    t.true(error?.message.includes(`127.0.0.1:${port}`));
    t.false(
      JSON.stringify([error?.message, error?.stack, String(error?.cause)]).includes('hunter2'),
    );
  }
});

test('an nkey opens the connection', async (t) => {
  const user = nkeys.createUser();
  const config = [`authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`];
  const { server } = await startServer(t, { config });
  const nkeySeed = Buffer.from(user.getSeed()).toString();
  const bus = await connectNatsBus({ servers: server.url, nkeySeed, timeoutMs });
  await t.notThrowsAsync(bus.flush());
  await bus.close();
  await t.throwsAsync(connectNatsBus({ servers: server.url, timeoutMs }), {
    instanceOf: BusUnavailableError,
    message: /refuses these credentials/,
  });
});

test('a creds file that is not there is reported', async (t) => {
  const attempt = connectNatsBus({ servers: 'localhost', credsFile: '/none.creds', timeoutMs });
  await t.throwsAsync(attempt, { instanceOf: BusUnavailableError, message: /none\.creds/ });
});

test('a server that is not there, or says nothing, is reported with its address', async (t) => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const servers = `nats://127.0.0.1:${port}`;
  await t.throwsAsync(connectNatsBus({ servers, timeoutMs: 100 }), {
    instanceOf: BusUnavailableError,
    message: new RegExp(`127\\.0\\.0\\.1:${port}.*start a server there`),
  });
  silent.close();
  for (const socket of sockets) socket.destroy();
  await once(silent, 'close');
  await t.throwsAsync(connectNatsBus({ servers, timeoutMs }), {
    instanceOf: BusUnavailableError,
    message: new RegExp(`127\\.0\\.0\\.1:${port}`),
  });
});

test('an address that is none is refused', async (t) => {
  for (const servers of ['http://localhost', 'nats://', '::', '']) {
    await t.throwsAsync(connectNatsBus({ servers, timeoutMs }), { instanceOf: TypeError }, servers);
  }
});

test('a bus on a cluster spans its servers and goes on when its own one dies', async (t) => {
  const cluster = await startNatsCluster();
  t.teardown(() => cluster.stop());
  const [url, otherUrl] = cluster.urls;
  const bus = await connectNatsBus({ servers: [url!], timeoutMs });
  const other = await connectNatsBus({ servers: [otherUrl!], timeoutMs });
  t.teardown(() => Promise.all([bus.close(), other.close()]));
  bus.subscribe('echo', ({ replySubject, data }) => bus.publish(replySubject!, data));
  t.is(await answerSize(other), 7);
  const back = statusOf(bus, 'connected');
  await cluster.servers[0]!.kill();
  await back;
  t.is(await answerSize(other), 7);
});

/**
 * The interest in a subject travels between servers in its own time, so the first tries may be
 * early.
 */
async function answerSize(bus: Bus): Promise<number> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return (await bus.request('echo', pattern(7), { timeoutMs })).data.length;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
