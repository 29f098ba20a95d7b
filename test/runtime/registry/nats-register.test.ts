import { setTimeout as delay } from 'node:timers/promises';
import { Kvm } from '@nats-io/kv';
import test from 'ava';
import { DamagedDataError } from '../../../errors.ts';
import { connectNatsBus } from '../../../runtime/bus/connect-nats.ts';
import { natsConnectionOf } from '../../../runtime/bus/nats-bus.ts';
import { openNatsRegister } from '../../../runtime/registry/nats-register.ts';
import type { Register } from '../../../runtime/registry/register.ts';
import { type NatsServer, startNatsCluster, startNatsServer } from '../../support/nats-server.ts';
import { registerRegisterContract } from '../../support/register-contract.ts';

const WAIT = { timeoutMs: 20_000 };
let server: NatsServer;
test.before(async () => {
  server = await startNatsServer({ jetstream: true });
});
test.after.always(() => server?.stop());

/** A register with a connection of its own, which is closed with it. */
async function open(servers: string | readonly string[], namespace: string): Promise<Register> {
  const bus = await connectNatsBus({ servers, timeoutMs: 10_000 });
  const register = await openNatsRegister(bus, namespace, WAIT);
  const { close } = register;
  return Object.assign(register, {
    async close() {
      await close.call(register);
      await bus.close();
    },
  });
}

registerRegisterContract('NATS', async (number) => ({
  open: () => open(server.url, `space ${number}`),
}));

test('namespaces of one server do not see each other', async (t) => {
  const [one, other] = [await open(server.url, 'one'), await open(server.url, 'other')];
  await one.create('names.a', 1, WAIT);
  t.deepEqual(await other.list('', WAIT), []);
  await Promise.all([one.close(), other.close()]);
});

test('what something else wrote is passed over, and told to who reads that very key', async (t) => {
  const bus = await connectNatsBus({ servers: server.url, timeoutMs: 10_000 });
  const register = await openNatsRegister(bus, 'foreign', WAIT);
  const bucket = await new Kvm(natsConnectionOf(bus)).open('codistill');
  await bucket.put('foreign.names.broken', 'no frame');
  await bucket.put('foreign.names.odd/word', 'no key of ours');
  await register.create('names.good', 1, WAIT);
  const listed = await register.list('names', WAIT);
  t.deepEqual(
    listed.map(({ key, value }) => [key, value]),
    [['names.good', 1]],
  );
  await t.throwsAsync(register.get('names.broken', WAIT), {
    instanceOf: DamagedDataError,
    message: /names\.broken/,
  });
  const seen: string[] = [];
  await register.watch('names', ({ key }) => seen.push(key), WAIT);
  while (!seen.includes('names.good')) await delay(10);
  t.deepEqual(seen, ['names.good']);
  await register.close();
  await bus.close();
});

test('a server without JetStream is refused with the flag that it wants', async (t) => {
  await using bare = await startNatsServer({ jetstream: false });
  const bus = await connectNatsBus({ servers: bare.url, timeoutMs: 10_000 });
  await t.throwsAsync(openNatsRegister(bus, 'test', WAIT), {
    code: 'BUS_UNAVAILABLE',
    message: /without JetStream.*"nats-server -js"/,
  });
  await bus.close();
});

test('a write waits for a server that is away, and a watch goes on after it', async (t) => {
  await using server = await startNatsServer({ jetstream: true });
  const register = await open(server.url, 'test');
  const told = Promise.withResolvers<void>();
  await register.watch('names', ({ key }) => key === 'names.b' && told.resolve(), WAIT);
  const first = (await register.create('names.a', 1, WAIT))!;
  await server.kill();
  const writing = register.update('names.a', 2, first, WAIT);
  await t.throwsAsync(register.get('names.a', { timeoutMs: 300 }), { code: 'DEADLINE' });
  await server.start();
  const second = await writing;
  t.deepEqual(await register.get('names.a', WAIT), { key: 'names.a', value: 2, revision: second! });
  await register.create('names.b', 1, WAIT);
  await told.promise;
  t.pass();
  await register.close();
});

test('what was acknowledged survives the loss of the leader of a cluster', async (t) => {
  await using cluster = await startNatsCluster(3, { jetstream: true });
  const register = await open(cluster.urls, 'test');
  let revision = (await register.create('count', 0, WAIT))!;
  for (let count = 1; count <= 20; count += 1) {
    // Wherever the leader is, one of three kills hits it or its connection.
    if (count === 10) await cluster.servers[1]!.kill();
    revision = (await register.update('count', count, revision, WAIT))!;
    t.deepEqual(await register.get('count', WAIT), { key: 'count', value: count, revision });
  }
  await register.close();
});
