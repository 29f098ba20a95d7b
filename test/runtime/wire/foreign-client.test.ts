import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { openForeignClient } from '../../support/foreign-client.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { counter } from '../../support/test-actors.ts';

let server: NatsServer;
test.before(async () => {
  server = await startNatsServer();
});
test.after.always(() => server?.stop());

test('a client that has read ARCHITECTURE alone calls, reads a stream and gets errors', async (t) => {
  const bus = { nats: { servers: server.url, timeoutMs: 10_000 } };
  await using system = await createSystem({ bus, namespace: 'foreign' });
  await system.spawn(counter, {}, { name: 'abacus', isolation: 'inline' });
  const client = await openForeignClient({ servers: server.url }, 'foreign', 'abacus');
  try {
    t.is(await client.call('add', 40), 40);
    t.is(await client.call('add', 2), 42);
    t.deepEqual(await client.call('echo', { text: 'né', list: [1.5, true, null] }), {
      text: 'né',
      list: [1.5, true, null],
    });
    t.deepEqual(await collect(client.stream('count', 20)), [...Array(20).keys()]);
    await t.throwsAsync(client.call('fail', 'as it should'), {
      name: 'RangeError',
      code: 'E_TEST',
      message: 'as it should',
    });
    await t.throwsAsync(collect(client.stream('failing', 2)), { name: 'RangeError' });
    await t.throwsAsync(client.call('constructor'), { code: 'UNKNOWN_METHOD' });
    t.is(await client.call('read'), 62, 'what failed cost the calls after it nothing');
  } finally {
    await client.close();
  }
});

async function collect<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
