import { connect } from '@nats-io/transport-node';
import test from 'ava';
import { checkNats, judgeNatsServer } from '../../../cli/doctor/doctor-nats.ts';
import type { NatsServerFacts } from '../../../runtime/index.ts';
import { openJetStream, repeatUntil } from '../../../runtime/registry/jetstream.ts';
import { freePorts, startNatsCluster, startNatsServer } from '../../support/nats-server.ts';

const timeoutMs = 10_000;

async function statuses(servers: string, monitor?: string): Promise<Record<string, string>> {
  const checks = await checkNats({ servers, timeoutMs }, monitor);
  for (const { status, advice } of checks)
    if (status !== 'ok' && !advice) throw new Error('silent');
  return Object.fromEntries(checks.map(({ name, status }) => [name, status]));
}

test('a server without JetStream and with small messages is found out', async (t) => {
  await using server = await startNatsServer({ jetstream: false, config: ['max_payload: 32KB'] });
  const found = await statuses(server.url);
  t.is(found['nats-server'], 'ok');
  t.is(found['nats messages'], 'failed');
  t.is(found['nats JetStream'], 'failed');
});

test('how JetStream syncs is read from the monitor, and said to be unknown without it', async (t) => {
  const [lazyPort, safePort] = await freePorts(2);
  await using lazy = await startNatsServer({ config: [`http: "127.0.0.1:${lazyPort}"`] });
  await using safe = await startNatsServer({
    jetstream: false,
    config: [`http: "127.0.0.1:${safePort}"`, 'jetstream { sync_interval: always }'],
  });
  const syncing = async (url: string, port: number | undefined) => {
    const checks = await checkNats({ servers: url, timeoutMs }, `http://127.0.0.1:${port}`);
    return checks.find(({ name }) => name === 'nats syncing');
  };
  t.is((await syncing(lazy.url, lazyPort))?.status, 'missing');
  t.regex((await syncing(lazy.url, lazyPort))?.detail ?? '', /power failure/);
  t.is((await syncing(safe.url, safePort))?.status, 'ok');
  t.regex((await syncing(safe.url, 1))?.detail ?? '', /not to be seen/);
});

test('one replica in a cluster is warned of, three are not', async (t) => {
  await using cluster = await startNatsCluster(3);
  const [url = ''] = cluster.urls;
  const connection = await connect({ servers: url });
  const { manager } = await openJetStream(connection, timeoutMs);
  const config = { name: 'KV_codistill', subjects: ['$KV.codistill.>'] };
  const set = (change: () => Promise<unknown>) => repeatUntil(timeoutMs, 'the bucket', change);
  await set(() => manager.streams.add({ ...config, num_replicas: 1 }));
  t.is((await statuses(url))['nats replicas'], 'missing');
  await set(() => manager.streams.update('KV_codistill', { num_replicas: 3 }));
  t.is((await statuses(url))['nats replicas'], 'ok');
  await connection.close();
});

const fine: NatsServerFacts = {
  version: '2.11.0',
  payloadBytesMax: 1 << 20,
  cluster: undefined,
  authRequired: true,
  encrypted: true,
  jetStream: true,
  replicas: 1,
  serversAway: [],
  syncsAlways: true,
};

test('old versions and open servers are warned of, unless only this machine reaches them', (t) => {
  const judge = (facts: Partial<NatsServerFacts>, servers = 'nats://10.0.0.5:4222') => {
    const checks = judgeNatsServer({ ...fine, ...facts }, { servers, timeoutMs });
    return checks.filter(({ status }) => status !== 'ok').map(({ name, status }) => [name, status]);
  };
  t.deepEqual(judge({}), []);
  t.deepEqual(judge({ version: '2.10.27' }), [['nats-server', 'missing']]);
  t.deepEqual(judge({ encrypted: false }), [['nats access', 'missing']]);
  t.deepEqual(judge({ authRequired: false }), [['nats access', 'failed']]);
  t.deepEqual(judge({ authRequired: false, encrypted: false }, 'nats://127.0.0.1:4222'), []);
  t.deepEqual(judge({ replicas: 1, cluster: 'c' }), [['nats replicas', 'missing']]);
});
