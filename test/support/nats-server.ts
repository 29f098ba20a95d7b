import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findNatsServer } from './nats-server-binary.ts';

const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 10_000;
const LOG_LINES_MAX = 200;

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
      return running.child.pid!;
    },
    log: () => running.lines.join('\n'),
    stop() {
      stopped ??= end(running.child, 'SIGTERM').then(() => rm(folder, { recursive: true }));
      return stopped;
    },
    kill: () => end(running.child, 'SIGKILL'),
    async start() {
      running = await launch(binary, folder, options, ports);
    },
    pause: () => void running.child.kill('SIGSTOP'),
    resume: () => void running.child.kill('SIGCONT'),
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
async function freePorts(count: number): Promise<readonly number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => (listener.address() as AddressInfo).port);
  await Promise.all(listeners.map((listener) => once(listener.close(), 'close')));
  return ports;
}

const children = new Set<ChildProcess>();

/** A test process that ends early must not leave its servers behind. */
function killChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}

interface Running {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly ports: { readonly client: number; readonly route: number };
}

async function launch(
  binary: string,
  folder: string,
  { jetstream = true, config = [], cluster, name }: NatsServerOptions,
  wanted: Running['ports'],
): Promise<Running> {
  const text = [
    `listen: "127.0.0.1:${wanted.client}"`,
    ...(name ? [`server_name: ${name}`] : []),
    ...(jetstream ? [`jetstream { store_dir: ${JSON.stringify(folder)} }`] : []),
    ...(cluster
      ? [
          `cluster { name: ${cluster.name}, listen: "127.0.0.1:${wanted.route}"`,
          `  routes: ${JSON.stringify(cluster.routes)} }`,
        ]
      : []),
    ...config,
  ].join('\n');
  await writeFile(join(folder, 'server.conf'), `${text}\n`);
  const child = spawn(binary, ['-c', join(folder, 'server.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (children.size === 0) process.once('exit', killChildren);
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    if (children.size === 0) process.off('exit', killChildren);
  });
  const lines: string[] = [];
  const ports = await readPorts(child, lines, cluster !== undefined);
  return { child, lines, ports };
}

/** The server tells its ports, and then that it is ready, on standard error. */
async function readPorts(
  child: ChildProcess,
  lines: string[],
  clustered: boolean,
): Promise<Running['ports']> {
  let client = -1;
  let route = -1;
  let ready = false;
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`nats-server ${what}. It wrote:\n${lines.join('\n')}`));
    };
    const timer = setTimeout(
      () => fail(`was not ready in ${START_TIMEOUT_MS} ms`),
      START_TIMEOUT_MS,
    );
    child.once('error', (error) => fail(`did not start: ${error.message}`));
    const ended = (code: number | null): void => fail(`ended with ${code} before it was ready`);
    child.once('exit', ended);
    createInterface({ input: child.stderr! }).on('line', (line) => {
      lines.push(line);
      if (lines.length > LOG_LINES_MAX) lines.shift();
      client = Number(/for client connections on \S+:(\d+)/.exec(line)?.[1] ?? client);
      route = Number(/for route connections on \S+:(\d+)/.exec(line)?.[1] ?? route);
      ready ||= line.includes('Server is ready');
      if (!ready || client < 0 || (clustered && route < 0)) return;
      clearTimeout(timer);
      child.off('exit', ended);
      resolve({ client, route });
    });
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  // A paused server hears SIGTERM only when it goes on.
  child.kill('SIGCONT');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}
