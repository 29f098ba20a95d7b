import type * as OpenTelemetry from '@opentelemetry/api';
import type { CallMessage } from '../wire/call-messages.ts';
import { watchItems } from './watched-items.ts';

/** What a propagator writes: `traceparent` and `tracestate` of W3C trace context, `baggage`. */
export type TraceHeaders = Readonly<Record<string, string>>;

/** A call that its caller traces. */
export interface CallSpan {
  /** Travel with the call. */
  readonly headers: TraceHeaders;
  /** `error` is what the call was rejected with; a stream also tells how many items came. */
  end(error?: unknown, items?: number): void;
}

/** Runs a method and returns what it returns. */
export type AroundCall = (message: CallMessage, run: () => unknown) => unknown;

/** Opens a stream and returns its items. @throws what `open` throws */
export type AroundStream = (
  message: CallMessage,
  open: () => AsyncIterable<unknown>,
) => AsyncIterable<unknown>;

/** What sees calls and streams being served. */
export interface Around {
  readonly call: AroundCall;
  readonly stream: AroundStream;
}

/** Spans of calls and streams for OpenTelemetry: one at the caller, one around the method. */
export interface Tracing {
  /** Begins a span below the active one of the caller. */
  begin(actor: TracedActor, method: string): CallSpan;
  /** Runs methods of an actor within spans that go on from their callers'. */
  around(actor: TracedActor): Around;
}

export interface TracedActor {
  readonly name: string;
  readonly type: string;
}

const TRACER = 'codistill';
/** Where the API keeps what was registered: looking there tells without loading it. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1');

/**
 * Undefined where this process has no OpenTelemetry SDK: then nothing is loaded, no header travels
 * and calls cost what they cost without it. An SDK is registered before the system is made; in
 * actors' processes by `--import` in `NODE_OPTIONS`.
 */
export async function loadTracing(): Promise<Tracing | undefined> {
  if (!(REGISTERED in globalThis)) return undefined;
  const api = await import('@opentelemetry/api').catch(() => undefined);
  return api && createTracing(api);
}

function createTracing(api: typeof OpenTelemetry): Tracing {
  const { context, propagation, SpanKind, trace } = api;
  const tracer = trace.getTracer(TRACER);
  const finish = (span: OpenTelemetry.Span, error?: unknown, items?: number): void => {
    if (items !== undefined) span.setAttribute('codistill.items', items);
    if (error !== undefined) {
      const message = error instanceof Error ? error.message : String(error);
      span.recordException(error instanceof Error ? error : message);
      span.setStatus({ code: api.SpanStatusCode.ERROR, message });
    }
    span.end();
  };
  const beginServed = (actor: TracedActor, { method, trace: headers }: CallMessage) => {
    const parent = propagation.extract(api.ROOT_CONTEXT, headers ?? {});
    const options = { kind: SpanKind.SERVER, attributes: attributesOf(actor, method) };
    const span = tracer.startSpan(`${actor.type}/${method}`, options, parent);
    return { span, scope: trace.setSpan(parent, span) };
  };
  return {
    begin(actor, method) {
      const options = { kind: SpanKind.CLIENT, attributes: attributesOf(actor, method) };
      const span = tracer.startSpan(`${actor.type}/${method}`, options);
      const headers: Record<string, string> = {};
      propagation.inject(trace.setSpan(context.active(), span), headers);
      return { headers, end: (error, items) => finish(span, error, items) };
    },
    around: (actor) => ({
      call(message, run) {
        const { span, scope } = beginServed(actor, message);
        return context.with(scope, () => whenSettled(run, (error) => finish(span, error)));
      },
      stream(message, open) {
        const { span, scope } = beginServed(actor, message);
        return watchItems(open, {
          within: (run) => context.with(scope, run),
          ended: (items, error) => finish(span, error, items),
        });
      },
    }),
  };
}

/** The names of OpenTelemetry's conventions for remote procedure calls. */
function attributesOf({ name, type }: TracedActor, method: string): OpenTelemetry.Attributes {
  return {
    'rpc.system': 'codistill',
    'rpc.service': type,
    'rpc.method': method,
    'codistill.actor': name,
  };
}

/** What `run` returns or throws; `ended` hears of its end, which may be later. */
export function whenSettled(run: () => unknown, ended: (error?: unknown) => void): unknown {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    ended(error);
    throw error;
  }
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') {
    ended();
    return result;
  }
  return (result as Promise<unknown>).then(
    (value) => {
      ended();
      return value;
    },
    (error: unknown) => {
      ended(error);
      throw error;
    },
  );
}
