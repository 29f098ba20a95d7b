import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { UserInputError } from '../../errors.ts';
import { isLoopback } from '../../loopback.ts';
import type { NodeInspection } from './inspection.ts';
import { registerNodeMetrics } from './metrics.ts';

const CONNECTIONS_MAX = 32;

export interface MetricsOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Default: this host only. What others read is not encrypted. */
  readonly host?: string;
  /** Who reads has to send it, as `Authorization: Bearer …`. Wanted where others can reach the port. */
  readonly token?: string;
}

/** Serves a node's metrics in the format of Prometheus; disposing closes the port. */
export interface MetricsServer extends AsyncDisposable {
  /** `http://127.0.0.1:9464/metrics` */
  readonly url: string;
  /** Takes further metrics. */
  readonly registry: Registry;
}

/**
 * Starts to serve the metrics of a system's node, of its actors and of this process (memory,
 * garbage collection, delay of the event loop).
 * @throws UserInputError when the port can't be had, or anybody could read them there.
 */
export async function startMetricsServer(
  system: { inspectNode(): Promise<NodeInspection> },
  { port, host = '127.0.0.1', token }: MetricsOptions,
): Promise<MetricsServer> {
  if (token === undefined && !isLoopback(host)) {
    throw new UserInputError(
      `Metrics on ${host} could be read by everybody in reach. Give a token that readers have to send, or ` +
        'serve them to this machine only, without a host.',
    );
  }
  // Loaded only here: it costs every process that imports the runtime some milliseconds.
  const { collectDefaultMetrics, Registry } = await import('prom-client');
  const registry = new Registry();
  let latest = await system.inspectNode();
  registry.setDefaultLabels({ node: latest.nodeName });
  collectDefaultMetrics({ register: registry });
  registerNodeMetrics(registry, () => latest);
  let answering: Promise<string> | undefined;
  const answer = async (): Promise<string> => {
    latest = await system.inspectNode();
    return await registry.metrics();
  };
  const server = createServer(async ({ method, url, headers }, response) => {
    if (token !== undefined && !isSame(headers.authorization ?? '', `Bearer ${token}`)) {
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end('a bearer token is needed\n');
      return;
    }
    if (method !== 'GET' || url !== '/metrics') {
      response.writeHead(404).end('GET /metrics\n');
      return;
    }
    try {
      // Who asks while an answer is being made gets the same.
      answering ??= answer().finally(() => {
        answering = undefined;
      });
      const text = await answering;
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    } catch (error) {
      response.writeHead(500).end(`${error}\n`);
    }
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, port, host);
  const { address, family, port: taken } = server.address() as AddressInfo;
  const shown = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `http://${shown}:${taken}/metrics`,
    registry,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Takes as long whatever is the same of them. */
function isSame(given: string, wanted: string): boolean {
  const [a, b] = [given, wanted].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(a!, b!);
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new UserInputError(`Metrics can't be served on ${host}:${port}: ${reason}`, { cause });
  }
}
