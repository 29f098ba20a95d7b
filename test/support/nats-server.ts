import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { searchNatsServer } from '../../cli/server/nats-server-binary.ts';
import { launchNatsServer, type NatsServerProcess } from '../../cli/server/nats-server-process.ts';

let found: Promise<string> | undefined;

export interface NatsServerOptions {
  /** Where systems keep names and ownership. Default true. */
  readonly jetstream?: boolean;
  /** Further lines of the server's configuration, as `max_payload: 64KB`. */
  readonly config?: readonly string[];
  /** Absent: a server by itself. */
  readonly cluster?: {
    readonly name: string;
    readonly routes: readonly string[];
    /** For the routes of others to this server; default a free one. */
    readonly port?: number;
    /** Further lines of this part of the configuration. */
    readonly config?: readonly string[];
  };
  readonly name?: string;
}

export interface NatsServer extends AsyncDisposable {
  /** `nats://127.0.0.1:port`; the same after a restart. */
  readonly url: string;
  readonly port: number;
  /** Where other servers of the cluster connect to; undefined without one. */
  readonly routeUrl: string | undefined;
  readonly pid: number;
  /** The last lines that the server wrote. */
  log(): string;
  /** Ends the server in an orderly way and removes its data. Idempotent. */
  stop(): Promise<void>;
  /** SIGKILL; the port stays reserved for `start`. */
  kill(): Promise<void>;
  /** After `kill`: with the same ports and data. */
  start(): Promise<void>;
  /** SIGSTOP: the server hangs, its connections stay open. */
  pause(): void;
  resume(): void;
}

/** Starts a real nats-server on free loopback ports, with its data in a new folder. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const binary = await findNatsServer();
  const folder = await mkdtemp(join(tmpdir(), 'codistill-nats-'));
  const route = options.cluster?.port ?? -1;
  let running = await launch(binary, folder, options, { client: -1, route });
  const { ports } = running;
  let stopped: Promise<void> | undefined;
  const server: NatsServer = {
    url: `nats://127.0.0.1:${ports.client}`,
    port: ports.client,
    routeUrl: options.cluster ? `nats://127.0.0.1:${ports.route}` : undefined,
    get pid() {
      return running.pid;
    },
    log: () => running.log(),
    stop() {
      stopped ??= running.stop().then(() => rm(folder, { recursive: true }));
      return stopped;
    },
    kill: () => running.kill(),
    async start() {
      running = await launch(binary, folder, options, ports);
    },
    pause: () => running.signal('SIGSTOP'),
    resume: () => running.signal('SIGCONT'),
    [Symbol.asyncDispose]: () => server.stop(),
  };
  return server;
}

export interface NatsCluster extends AsyncDisposable {
  readonly servers: readonly NatsServer[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

/** Starts servers that are routed to each other. */
export async function startNatsCluster(
  size = 3,
  options: Omit<NatsServerOptions, 'cluster' | 'name'> = {},
): Promise<NatsCluster> {
  // JetStream starts only with routes: each server is told of all, itself included.
  const ports = await freePorts(size);
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
  const starting = ports.map((port, index) => {
    const cluster = { name: 'codistill-test', routes, port };
    return startNatsServer({ ...options, cluster, name: `server-${index + 1}` });
  });
  const started = await Promise.allSettled(starting);
  const servers = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const failure = started.find((one) => one.status === 'rejected');
  if (failure !== undefined) {
    await stop();
    throw failure.reason;
  }
  return { servers, urls: servers.map(({ url }) => url), stop, [Symbol.asyncDispose]: stop };
}

/** Ports that nothing listened on a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => (listener.address() as AddressInfo).port);
  await Promise.all(listeners.map((listener) => once(listener.close(), 'close')));
  return ports;
}

/** With the repository's cache first, so that a checkout brings its own. */
export function findNatsServer(): Promise<string> {
  const cache = fileURLToPath(new URL('../../.cache/nats-server/', import.meta.url));
  found ??= searchNatsServer({ cache });
  return found;
}

async function launch(
  binary: string,
  folder: string,
  { jetstream = true, config = [], cluster, name }: NatsServerOptions,
  wanted: NatsServerProcess['ports'],
): Promise<NatsServerProcess> {
  const text = [
    `listen: "127.0.0.1:${wanted.client}"`,
    ...(name ? [`server_name: ${name}`] : []),
    ...(jetstream ? [`jetstream { store_dir: ${JSON.stringify(folder)} }`] : []),
    ...(cluster
      ? [
          `cluster { name: ${cluster.name}, listen: "127.0.0.1:${wanted.route}"`,
          `  routes: ${JSON.stringify(cluster.routes)}`,
          ...(cluster.config ?? []),
          '}',
        ]
      : []),
    ...config,
  ].join('\n');
  const configFile = join(folder, 'server.conf');
  await writeFile(configFile, `${text}\n`);
  return await launchNatsServer({ binary, configFile, clustered: cluster !== undefined });
}
