import test from 'ava';
import { createSystem, startMetricsServer } from '../../../runtime/index.ts';
import { counter } from '../../support/test-actors.ts';

/** The samples of a page of metrics by their name and labels, without the node's. */
async function scrape(url: string): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => {
      const [, series = '', value] = /^(.+) (\S+)$/.exec(line) ?? [];
      return [series.replace(/,?node="home"/, '').replace('{}', ''), Number(value)];
    }),
  );
}

test('actors and their calls are counted in the format of Prometheus', async (t) => {
  await using system = await createSystem({ bus: 'local', nodeName: 'home' });
  await using metrics = await startMetricsServer(system, { port: 0 });
  t.regex(metrics.url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  const actor = await system.spawn(counter, {}, { name: 'a "quoted" one' });
  for (let call = 0; call < 3; call += 1) await actor.add(1);
  await t.throwsAsync(actor.fail('on purpose'));
  const labels = 'actor="a \\"quoted\\" one",actor_type="test/counter"';

  const first = await scrape(metrics.url);
  const calls = (page: ReadonlyMap<string, number>, outcome: string) =>
    page.get(`codistill_actor_calls_total{${labels},outcome="${outcome}"}`);
  t.is(calls(first, 'done'), 3);
  t.is(calls(first, 'failed'), 1);
  const duration = 'codistill_actor_call_duration_seconds';
  t.is(first.get(`${duration}_count{${labels}}`), 4);
  t.is(first.get(`${duration}_bucket{${labels},le="+Inf"}`), 4);
  const buckets = [...first].filter(([series]) => series.startsWith(`${duration}_bucket`));
  const counts = buckets.map(([, count]) => count);
  t.deepEqual(
    counts,
    counts.toSorted((a, b) => a - b),
    'buckets are cumulative',
  );
  t.true(first.get(`codistill_actor_resident_memory_bytes{${labels}}`)! > 10e6);
  t.is(first.get('codistill_owned_actors{status="running"}'), 1);
  t.is(first.get('codistill_node_actors'), 1);
  t.true(first.has('nodejs_eventloop_lag_p99_seconds'));

  await actor.block(30);
  const second = await scrape(metrics.url);
  t.is(calls(second, 'done'), 4);
  const quick = `${duration}_bucket{${labels},le="0.01"}`;
  t.is(second.get(quick), first.get(quick), 'a call of 30 ms is in no bucket of 10 ms');
});

test('only /metrics is served, and a port that is taken is refused in words', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  await using metrics = await startMetricsServer(system, { port: 0 });
  t.is((await fetch(new URL('/', metrics.url))).status, 404);
  t.is((await fetch(metrics.url, { method: 'POST' })).status, 404);
  const port = Number(new URL(metrics.url).port);
  await t.throwsAsync(startMetricsServer(system, { port }), {
    code: 'USER_INPUT',
    message: /can't be served on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
  });
});

test('what other machines can reach wants a token, and without one nothing is served there', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  for (const host of ['0.0.0.0', '::', '127.example.org']) {
    await t.throwsAsync(startMetricsServer(system, { port: 0, host }), {
      code: 'USER_INPUT',
      message: /could be read by everybody .*Give a token/,
    });
  }
  const token = 'a-token-of-some-length';
  await using metrics = await startMetricsServer(system, { port: 0, host: '0.0.0.0', token });
  const url = metrics.url.replace('0.0.0.0', '127.0.0.1');
  const ask = async (authorization?: string) => {
    const response = await fetch(url, { headers: authorization ? { authorization } : {} });
    return [response.status, (await response.text()).includes('nodejs_')];
  };
  t.deepEqual(await ask(), [401, false]);
  t.deepEqual(await ask('Bearer guessed'), [401, false]);
  t.deepEqual(await ask(token), [401, false]);
  t.deepEqual(await ask(`Bearer ${token}`), [200, true]);
});
