import * as v from 'valibot';
import type { Bus } from './bus.ts';
import { connectNatsBus } from './connect-nats.ts';
import type { NatsOptions } from './nats-options.ts';

const ASK_TIMEOUT_MS = 2_000;

/** What a server says of itself and of its settings. */
export interface NatsServerFacts {
  readonly version: string;
  readonly payloadBytesMax: number;
  /** Undefined where it is no part of a cluster. */
  readonly cluster: string | undefined;
  /** It wants credentials. */
  readonly authRequired: boolean;
  readonly encrypted: boolean;
  readonly jetStream: boolean;
  /** How many servers have the names and owners of codistill; undefined before the first use. */
  readonly replicas: number | undefined;
  /** Servers that JetStream counts and that are away. Undefined where the server does not tell this client. */
  readonly serversAway: readonly string[] | undefined;
  /** What JetStream confirms is on the disk. Undefined where the server does not tell this client. */
  readonly syncsAlways: boolean | undefined;
}

/**
 * Looks at a server as one of its clients. How JetStream syncs it only tells a user of the system account, a
 * client of `actorctl up`, or its monitor.
 *
 * @param monitor the server's monitor, as `http://127.0.0.1:8222`
 * @throws BusUnavailableError
 */
export async function readNatsServerFacts(
  options: NatsOptions,
  monitor?: string,
): Promise<NatsServerFacts> {
  const bus = await connectNatsBus(options);
  try {
    const { natsConnectionOf } = await import('./nats-bus.ts');
    const { info } = natsConnectionOf(bus);
    const stream = await ask(bus, '$JS.API.STREAM.INFO.KV_codistill', streamSchema);
    const jsz = await ask(bus, '$SYS.REQ.SERVER.PING.JSZ', pingSchema);
    const leader = await ask(bus, '$SYS.REQ.SERVER.PING.JSZ', metaSchema, { leader_only: true });
    const config = jsz?.data.config ?? (monitor && (await readMonitor(monitor))?.config);
    return {
      version: info?.version ?? 'unknown',
      payloadBytesMax: info?.max_payload ?? 0,
      cluster: info?.cluster,
      authRequired: info?.auth_required === true,
      encrypted: info?.tls_required === true || info?.tls_available === true,
      jetStream: (await ask(bus, '$JS.API.INFO', accountSchema)) !== undefined,
      replicas: stream?.config.num_replicas,
      serversAway: leader?.data.meta_cluster.replicas
        .filter(({ offline }) => offline)
        .map(({ name }) => name),
      syncsAlways: config ? config.sync_always === true : undefined,
    };
  } finally {
    await bus.close();
  }
}

/**
 * `host:port` of all servers of the cluster for clients, as the one that is reached tells them.
 * @throws BusUnavailableError
 */
export async function listNatsServers(options: NatsOptions): Promise<readonly string[]> {
  const bus = await connectNatsBus(options);
  try {
    const { natsConnectionOf } = await import('./nats-bus.ts');
    return natsConnectionOf(bus).info?.connect_urls ?? [];
  } finally {
    await bus.close();
  }
}

/** Undefined when nobody answers, or something else. */
async function ask<Output>(
  bus: Bus,
  subject: string,
  schema: v.GenericSchema<unknown, Output>,
  options?: object,
): Promise<Output | undefined> {
  try {
    const asked = Buffer.from(options === undefined ? '' : JSON.stringify(options));
    const { data } = await bus.request(subject, asked, { timeoutMs: ASK_TIMEOUT_MS });
    const parsed = v.safeParse(schema, JSON.parse(Buffer.from(data).toString()));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

async function readMonitor(monitor: string): Promise<v.InferOutput<typeof jszSchema> | undefined> {
  try {
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
    const response = await fetch(new URL('/jsz', monitor), { signal });
    const parsed = v.safeParse(jszSchema, await response.json());
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

const jszSchema = v.object({ config: v.object({ sync_always: v.optional(v.boolean()) }) });
const pingSchema = v.object({ data: jszSchema });
const replicaSchema = v.object({ name: v.string(), offline: v.optional(v.boolean(), false) });
const metaSchema = v.object({
  data: v.object({
    meta_cluster: v.object({ replicas: v.optional(v.array(replicaSchema), []) }),
  }),
});
const streamSchema = v.object({ config: v.object({ num_replicas: v.number() }) });
const accountSchema = v.object({ limits: v.object({}) });
