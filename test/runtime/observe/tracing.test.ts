import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import test from 'ava';
import { addressOf, createHandle, pathOf } from '../../../runtime/calls/handle.ts';
import { createSystem } from '../../../runtime/index.ts';
import { loadTracing } from '../../../runtime/observe/tracing.ts';
import { traced } from '../../support/traced-actor.ts';

async function readAll<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const setup = new URL('../../support/trace-setup.ts', import.meta.url);

test.serial('without an SDK nothing is traced', async (t) => {
  t.is(await loadTracing(), undefined);
  await using system = await createSystem({ bus: 'memory' });
  const actor = await system.spawn(traced, {});
  t.deepEqual(await actor.active(), { traceId: undefined, spanId: undefined });
});

test.serial('a trace goes on in the methods that are called, and in what they call', async (t) => {
  const { spans } = (await import(setup.href)) as typeof import('../../support/trace-setup.ts');
  await using system = await createSystem({ bus: 'memory' });
  const first = await system.spawn(traced, {}, { name: 'first' });
  const second = await system.spawn(traced, {}, { name: 'second' });
  const tracer = trace.getTracer('test');
  const seen = await tracer.startActiveSpan('outer', async (outer) => {
    const inner = await first.activeIn(second);
    outer.end();
    return { outer: outer.spanContext(), inner };
  });
  t.deepEqual(
    seen.inner.map(({ traceId }) => traceId),
    [seen.outer.traceId, seen.outer.traceId],
  );
  const chain: string[] = [];
  const finished = spans.getFinishedSpans();
  let span = finished.find((one) => one.spanContext().spanId === seen.inner[1]!.spanId);
  while (span !== undefined) {
    chain.push(`${SpanKind[span.kind]} ${span.name} ${span.attributes['codistill.actor'] ?? ''}`);
    const parent = span.parentSpanContext?.spanId;
    span = finished.find((one) => one.spanContext().spanId === parent);
  }
  t.deepEqual(chain, [
    'SERVER test/traced/active second',
    'CLIENT test/traced/active second',
    'SERVER test/traced/activeIn first',
    'CLIENT test/traced/activeIn first',
    'INTERNAL outer ',
  ]);

  spans.reset();
  await t.throwsAsync(first.fail(), { message: 'on purpose' });
  const failed = spans.getFinishedSpans();
  t.deepEqual(
    failed.map(({ status, events }) => [status.code, status.message, events[0]?.name]),
    Array.from({ length: 2 }, () => [SpanStatusCode.ERROR, 'on purpose', 'exception']),
  );
});

test.serial(
  'a stream is one span on each side, with its items and what is called for them',
  async (t) => {
    const { spans } = (await import(setup.href)) as typeof import('../../support/trace-setup.ts');
    await using system = await createSystem({ bus: 'memory' });
    const actor = await system.spawn(traced, {});
    const describe = () =>
      spans.getFinishedSpans().map(({ kind, name, attributes, status }) => {
        return [SpanKind[kind], name, attributes['codistill.items'], status.message];
      });
    spans.reset();
    const outer = trace.getTracer('test').startSpan('outer');
    const within = trace.setSpan(context.active(), outer);
    const seen = await context.with(within, () => readAll(actor.follow(3)));
    const traceIds = new Set(seen.map(({ traceId }) => traceId));
    t.deepEqual([...traceIds], [outer.spanContext().traceId]);
    t.deepEqual(describe(), [
      ['SERVER', 'test/traced/follow', 3, undefined],
      ['CLIENT', 'test/traced/follow', 3, undefined],
    ]);
    const served = spans.getFinishedSpans()[0]!;
    t.deepEqual([...new Set(seen.map(({ spanId }) => spanId))], [served.spanContext().spanId]);

    spans.reset();
    await t.throwsAsync(readAll(actor.break(2)), { message: 'the stream broke' });
    t.deepEqual(describe(), [
      ['SERVER', 'test/traced/break', 2, 'the stream broke'],
      ['CLIENT', 'test/traced/break', 2, 'the stream broke'],
    ]);

    spans.reset();
    for await (const _ of actor.follow(1_000)) break;
    const sides = () => describe().map(([kind]) => kind);
    while (sides().length < 2) await new Promise((resolve) => setImmediate(resolve));
    t.deepEqual(sides(), ['CLIENT', 'SERVER'], 'leaving early ends both');

    spans.reset();
    const refused = createHandle<{ nothing(): AsyncIterable<number> }>(
      { ...addressOf(actor), methods: { nothing: 'stream' } },
      pathOf(actor),
    );
    await t.throwsAsync(readAll(refused.nothing()), { code: 'UNKNOWN_METHOD' });
    t.deepEqual(sides(), ['CLIENT'], 'what was refused was never served');
  },
);

test.serial('a trace goes on in another process, where that has an SDK too', async (t) => {
  await import(setup.href);
  await using system = await createSystem({ bus: 'local' });
  const environment = { NODE_OPTIONS: `--import=${setup.href}` };
  const withSdk = await system.spawn(traced, {}, { environment });
  const without = await system.spawn(traced, {});
  await trace.getTracer('test').startActiveSpan('outer', async (outer) => {
    t.is((await withSdk.active()).traceId, outer.spanContext().traceId);
    t.is((await without.active()).traceId, undefined);
    outer.end();
  });
});
