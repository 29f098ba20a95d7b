import { connect, type NatsConnection } from '@nats-io/transport-node';
import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { counter } from '../../support/test-actors.ts';

let server: NatsServer;
let client: NatsConnection;
test.before(async () => {
  server = await startNatsServer();
  client = await connect({ servers: server.url });
});
test.after.always(async () => {
  await client?.close();
  await server?.stop();
});

/** As `nats micro` asks: one request, and the answers of as many instances as are expected. */
async function ask(subject: string, count: number): Promise<readonly Record<string, unknown>[]> {
  const answers = await client.requestMany(subject, '', {
    strategy: 'count',
    maxMessages: count,
    maxWait: 10_000,
  });
  const found: Record<string, unknown>[] = [];
  for await (const answer of answers) found.push(answer.json());
  return found;
}

test('nodes are found, described and counted as NATS services', async (t) => {
  const common = { bus: { nats: { servers: server.url, timeoutMs: 10_000 } }, namespace: 'micro' };
  await using first = await createSystem({ ...common, nodeName: 'one', labels: { zone: 'attic' } });
  await using second = await createSystem({ ...common, nodeName: 'two' });
  const actor = await first.spawn(counter, {}, { name: 'my.counter', isolation: 'inline' });
  await actor.add(1);
  await actor.add(1);
  await t.throwsAsync(actor.fail('on purpose'));

  const pings = await ask('$SRV.PING', 2);
  t.deepEqual(pings.map(({ id }) => id).sort(), [first.nodeId, second.nodeId].sort());
  for (const ping of pings) {
    t.is(ping.type, 'io.nats.micro.v1.ping_response');
    t.is(ping.name, 'codistill-node');
    t.regex(String(ping.version), /^\d+\.\d+\.\d+$/);
  }
  t.is((await ask('$SRV.INFO.codistill-node', 2)).length, 2);

  const mine = `codistill-node.${first.nodeId}`;
  const [info] = await ask(`$SRV.INFO.${mine}`, 1);
  t.like(info, {
    type: 'io.nats.micro.v1.info_response',
    id: first.nodeId,
    metadata: { namespace: 'micro', node: 'one', zone: 'attic' },
    endpoints: [
      {
        name: 'my_counter',
        subject: 'codistill.micro.actor.my=2Ecounter',
        metadata: { actor: 'my.counter', type: 'test/counter' },
      },
    ],
  });
  const [stats] = await ask(`$SRV.STATS.${mine}`, 1);
  t.like(stats, {
    type: 'io.nats.micro.v1.stats_response',
    endpoints: [{ name: 'my_counter', num_requests: 3, num_errors: 1 }],
  });
  t.true(Date.parse(String(stats!.started)) <= Date.now());
});
