import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { loadTracing } from '../../../runtime/observe/tracing.ts';
import { traced } from '../../support/traced-actor.ts';

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
