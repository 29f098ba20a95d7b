import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import test from 'ava';
import { type ClusterKey, createClusterKey } from '../../../cli/server/cluster-key.ts';
import { type ClusterServer, startClusterServer } from '../../../cli/server/cluster-server.ts';
import { lookAtCluster } from '../../../cli/server/cluster-watch.ts';
import { leaveCluster, removeServer } from '../../../cli/server/leave-cluster.ts';
import { openServerFolder, type ServerSettings } from '../../../cli/server/server-folder.ts';
import { listMembers } from '../../../cli/server/server-members.ts';
import { connectNatsBus } from '../../../runtime/index.ts';
import { repeatUntil } from '../../../runtime/registry/jetstream.ts';
import { openNatsRegister } from '../../../runtime/registry/open-register.ts';
import { freePortRow } from '../../support/free-port.ts';
import { findNatsServer } from '../../support/nats-server.ts';
import { waitForProcessEnd, waitUntil } from '../../support/process-watch.ts';

const key = createClusterKey();

async function startOne(
  t: { teardown(fn: () => unknown): void; log(...args: unknown[]): void },
  name: string,
  joined: readonly string[],
) {
  const path = await mkdtemp(join(tmpdir(), 'codistill-server-'));
  const port = await freePortRow();
  const settings: ServerSettings = {
    name,
    listen: '127.0.0.1',
    port,
    tls: false,
    join: joined,
    witness: joined.length === 0,
  };
  const warnings: string[] = [];
  const start = async (settings: ServerSettings): Promise<ClusterServer> => {
    const server = await startClusterServer({
      binary: await findNatsServer(),
      folder: openServerFolder(path),
      settings,
      key,
      warn: (message) => warnings.push(message),
      onLost: (error) => t.log(error.message),
    });
    t.teardown(() => server.stop());
    return server;
  };
  t.teardown(() => rm(path, { recursive: true }));
  return { server: await start(settings), start, settings, port, path, warnings };
}

async function connectTo(port: number, { client }: ClusterKey): Promise<NatsConnection> {
  return await connect({ port, user: client.user, pass: client.password });
}

/** As `actorctl up` looks, again and again. */
async function untilWithoutWitness(
  server: ClusterServer,
  settings: ServerSettings,
): Promise<ServerSettings> {
  let seen = settings;
  const isDismissed = async () => {
    seen = await lookAtCluster(server, seen);
    return !seen.witness;
  };
  await waitUntil(isDismissed, 'the witness to be dismissed', 90_000);
  return seen;
}

/** Of the file that the server reads. */
function configuredRoutes(path: string): string {
  return /routes: .*/.exec(readFileSync(join(path, 'server.conf'), 'utf8'))![0];
}

async function ready(server: ClusterServer): Promise<boolean> {
  const { signal } = new AbortController();
  return await server.waitForJetStream({ signal, untilRefused: false });
}

test('with three servers the witness goes, and the loss of any one stops nothing', async (t) => {
  const first = await startOne(t, 'first', []);
  t.true(await ready(first.server));
  t.deepEqual(await lookAtCluster(first.server, first.settings), first.settings);
  const connection = await connectTo(first.port, key);
  const before = await new Kvm(connection).create('kept');
  await before.put('fact', 'from the first server alone');
  const joined = [`127.0.0.1:${first.port}`];
  const [second, third] = await Promise.all([
    startOne(t, 'second', joined),
    startOne(t, 'third', joined),
  ]);
  t.true(await ready(second.server));
  t.true(await ready(third.server));
  const seen = await untilWithoutWitness(first.server, first.settings);
  const addresses = [second, third].map(({ port }) => `127.0.0.1:${port}`).sort();
  t.deepEqual(seen.peers, addresses, 'the servers that are left find each other by these');
  await connection.close();
  const later = await connectTo(third.port, key);
  const text = await repeatUntil(15_000, 'the bucket', async () => {
    const entry = await (await new Kvm(later).open('kept')).get('fact');
    return entry?.string();
  });
  t.is(text, 'from the first server alone');

  await first.server.stop();
  t.true(await ready(second.server), 'two of three are a majority');
  const revision = await repeatUntil(15_000, 'a new bucket', async () => {
    return await (await new Kvm(later).create('later')).put('fact', 'without the first');
  });
  t.true(revision > 0);
  await later.close();

  const left = [second, third];
  const known = await Promise.all(left.map((one) => lookAtCluster(one.server, one.settings)));
  await Promise.all(left.map((one) => one.server.stop()));
  const again = await Promise.all(left.map((one, index) => one.start(known[index]!)));
  t.true(await ready(again[0]!), 'the two find each other without the one that they had joined');
});

test('the witness goes only when all servers have the register', async (t) => {
  const first = await startOne(t, 'first', []);
  t.true(await ready(first.server));
  // Opened by nobody else: as when a node opens it before JetStream knows of its server.
  const bus = await connectNatsBus(first.server.connection);
  const register = await openNatsRegister(bus, 'default', { timeoutMs: 15_000 });
  await register.create('nodes.first', 'from the first server alone', { timeoutMs: 15_000 });
  await bus.close();
  const joined = [`127.0.0.1:${first.port}`];
  const others = await Promise.all([startOne(t, 'second', joined), startOne(t, 'third', joined)]);
  for (const { server } of others) t.true(await ready(server));
  const [, third] = others as [unknown, (typeof others)[number]];
  await untilWithoutWitness(first.server, first.settings);
  await first.server.stop();
  const left = await connectNatsBus(third.server.connection);
  const kept = await openNatsRegister(left, 'default', { timeoutMs: 30_000 });
  const entry = await kept.get('nodes.first', { timeoutMs: 15_000 });
  t.is(entry?.value, 'from the first server alone');
  await left.close();
});

test('a server that leaves counts no longer, comes back as a new one, and a lost one is removed', async (t) => {
  const first = await startOne(t, 'first', []);
  t.true(await ready(first.server));
  const joined = [`127.0.0.1:${first.port}`];
  const second = await startOne(t, 'second', joined);
  const third = await startOne(t, 'third', joined);
  const fourth = await startOne(t, 'fourth', joined);
  for (const { server } of [second, third, fourth]) t.true(await ready(server));
  const bus = await connectNatsBus(second.server.connection);
  t.teardown(() => bus.close());
  const register = await openNatsRegister(bus, 'default', { timeoutMs: 15_000 });
  await register.create('facts.kept', 'of four servers', { timeoutMs: 15_000 });
  await untilWithoutWitness(first.server, first.settings);
  t.is(
    configuredRoutes(first.path).includes(String(first.port + 2001)),
    false,
    'nobody looks for it',
  );
  const system = await connectNatsBus(first.server.system);
  t.teardown(() => system.close());
  const listNames = async () => (await listMembers(system)).all.map(({ name }) => name).sort();
  t.deepEqual(await listNames(), ['first', 'fourth', 'second', 'third']);

  t.deepEqual(await leaveCluster(fourth.server, 'fourth'), { how: 'left' });
  await fourth.server.stop();
  t.deepEqual(await listNames(), ['first', 'second', 'third']);
  const stays = await leaveCluster(third.server, 'third');
  t.like(stays, { how: 'away' });
  t.regex(stays.how === 'away' ? stays.reason! : '', /of 3 servers 2 have to be there/);
  await third.server.stop();
  const isAway = async () =>
    (await listMembers(system)).all.some(({ name, isThere }) => name === 'third' && !isThere);
  await waitUntil(isAway, 'the third to be away');
  await t.throwsAsync(removeServer(first.server, 'third'), {
    message: /Join another machine first/,
  });

  openServerFolder(fourth.path).forget();
  const back = await fourth.start({ ...fourth.settings, name: 'fourth-anew' });
  t.true(await ready(back));
  await waitUntil(
    async () => (await listNames()).includes('fourth-anew'),
    'the fourth to be counted',
  );
  await t.throwsAsync(removeServer(first.server, 'second'), { message: /second runs/ });
  const left = await removeServer(back, 'third');
  t.deepEqual(left.map(({ name }) => name).sort(), ['first', 'fourth-anew', 'second']);

  // All have everything, so that any one of them may be lost.
  await first.server.stop();
  const entry = await register.get('facts.kept', { timeoutMs: 30_000 });
  t.is(entry?.value, 'of four servers');
});

test('a server that ends by itself is started again, with what it stored', async (t) => {
  const { server, port, path, warnings } = await startOne(t, 'lone', []);
  t.true(await ready(server));
  const connection = await connectTo(port, key);
  await (await new Kvm(connection).create('kept')).put('fact', 'on disk');
  await connection.close();
  const pid = Number(await readFile(join(path, 'server.pid'), 'utf8'));
  process.kill(pid, 'SIGKILL');
  await waitForProcessEnd(pid);
  t.true(await ready(server));
  t.regex(warnings.join(), /ended with SIGKILL; starting it again/);
  t.false(warnings.join().includes(key.route.password));
  const again = await connectTo(port, key);
  const text = await repeatUntil(15_000, 'the bucket', async () => {
    const entry = await (await new Kvm(again).open('kept')).get('fact');
    return entry?.string();
  });
  t.is(text, 'on disk');
  await again.close();
});
