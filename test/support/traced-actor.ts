import { trace } from '@opentelemetry/api';
import { type ActorDefinition, defineActor, type Handle } from '../../runtime/index.ts';

export interface SpanNames {
  readonly traceId: string | undefined;
  readonly spanId: string | undefined;
}

class Traced {
  /** The active span as the method sees it. */
  async active(): Promise<SpanNames> {
    await Promise.resolve();
    const { traceId, spanId } = trace.getActiveSpan()?.spanContext() ?? {};
    return { traceId, spanId };
  }

  async activeIn(other: Handle<Traced>): Promise<readonly SpanNames[]> {
    return [await this.active(), await other.active()];
  }

  /** The active span before each item. */
  async *follow(count: number): AsyncGenerator<SpanNames> {
    for (let item = 0; item < count; item += 1) yield await this.active();
  }

  async *break(after: number): AsyncGenerator<number> {
    for (let item = 0; item < after; item += 1) yield item;
    throw new RangeError('the stream broke');
  }

  fail(): never {
    throw new RangeError('on purpose');
  }
}

/** Tells which trace it is called in. */
export const traced: ActorDefinition<object, Traced> = defineActor({
  type: 'test/traced',
  module: import.meta.url,
  methods: {
    active: 'call',
    activeIn: 'call',
    fail: 'call',
    follow: 'stream',
    break: 'stream',
  },
  create: () => new Traced(),
});
