import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import test from 'ava';
import { type ClusterKey, createClusterKey } from '../../../cli/server/cluster-key.ts';
import { type ClusterServer, startClusterServer } from '../../../cli/server/cluster-server.ts';
import { openServerFolder } from '../../../cli/server/server-folder.ts';
import { dismissWitness } from '../../../cli/server/witness-watch.ts';
import { repeatUntil } from '../../../runtime/registry/jetstream.ts';
import { freePortRow } from '../../support/free-port.ts';
import { findNatsServer } from '../../support/nats-server.ts';
import { waitForProcessEnd } from '../../support/process-watch.ts';

const key = createClusterKey();

async function startOne(
  t: { teardown(fn: () => unknown): void; log(...args: unknown[]): void },
  name: string,
  joined: readonly string[],
) {
  const path = await mkdtemp(join(tmpdir(), 'codistill-server-'));
  const port = await freePortRow();
  const warnings: string[] = [];
  const server = await startClusterServer({
    binary: await findNatsServer(),
    folder: openServerFolder(path),
    settings: {
      name,
      listen: '127.0.0.1',
      advertise: '127.0.0.1',
      port,
      tls: false,
      join: joined,
      witness: joined.length === 0,
    },
    key,
    warn: (message) => warnings.push(message),
    onLost: (error) => t.log(error.message),
  });
  t.teardown(async () => {
    await server.stop();
    await rm(path, { recursive: true });
  });
  return { server, port, path, warnings };
}

async function connectTo(port: number, { client }: ClusterKey): Promise<NatsConnection> {
  return await connect({ port, user: client.user, pass: client.password });
}

async function ready(server: ClusterServer): Promise<boolean> {
  const { signal } = new AbortController();
  return await server.waitForJetStream({ signal, untilRefused: false });
}

test('with three servers the witness goes, and the loss of any one stops nothing', async (t) => {
  const first = await startOne(t, 'first', []);
  t.true(await ready(first.server));
  t.false(await dismissWitness(first.server, { name: 'first' }));
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
  t.true(await dismissWitness(first.server, { name: 'first' }));
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
