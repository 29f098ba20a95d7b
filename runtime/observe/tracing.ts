import type * as OpenTelemetry from '@opentelemetry/api';
import type { CallMessage } from '../wire/call-messages.ts';

/** What a propagator writes: `traceparent` and `tracestate` of W3C trace context, `baggage`. */
export type TraceHeaders = Readonly<Record<string, string>>;

/** A call that its caller traces. */
export interface CallSpan {
  /** Travel with the call. */
  readonly headers: TraceHeaders;
  /** `error` is what the call was rejected with. */
  end(error?: unknown): void;
}

/** Runs a method and returns what it returns. */
export type AroundCall = (message: CallMessage, run: () => unknown) => unknown;

/** Spans of calls for OpenTelemetry: one at the caller, one around the method. */
export interface Tracing {
  /** Begins a span below the active one of the caller. */
  begin(actor: TracedActor, method: string): CallSpan;
  /** Runs methods of an actor within spans that go on from their callers'. */
  around(actor: TracedActor): AroundCall;
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
  const finish = (span: OpenTelemetry.Span, error?: unknown): void => {
    if (error !== undefined) {
      const message = error instanceof Error ? error.message : String(error);
      span.recordException(error instanceof Error ? error : message);
      span.setStatus({ code: api.SpanStatusCode.ERROR, message });
    }
    span.end();
  };
  return {
    begin(actor, method) {
      const options = { kind: SpanKind.CLIENT, attributes: attributesOf(actor, method) };
      const span = tracer.startSpan(`${actor.type}/${method}`, options);
      const headers: Record<string, string> = {};
      propagation.inject(trace.setSpan(context.active(), span), headers);
      return { headers, end: (error) => finish(span, error) };
    },
    around: (actor) => (message, run) => {
      const { method, trace: headers } = message;
      const parent = propagation.extract(api.ROOT_CONTEXT, headers ?? {});
      const options = { kind: SpanKind.SERVER, attributes: attributesOf(actor, method) };
      const span = tracer.startSpan(`${actor.type}/${method}`, options, parent);
      return context.with(trace.setSpan(parent, span), () =>
        whenSettled(run, (error) => finish(span, error)),
      );
    },
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
