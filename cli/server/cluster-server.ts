import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { BusUnavailableError } from '../../errors.ts';
import { connectNatsBus, type NatsOptions } from '../../runtime/index.ts';
import type { ClusterKey, Login } from './cluster-key.ts';
import { assertPortFree, externalAddresses, isWildcard } from './listen-address.ts';
import type { ConnectionFile } from './nats-address.ts';
import { launchNatsServer, type NatsServerProcess } from './nats-server-process.ts';
import {
  CALLER_INBOX,
  formatAddress,
  formatServerConfig,
  SERVER_NAME,
  type ServerConfig,
} from './server-config.ts';
import type { ServerFolder, ServerSettings } from './server-folder.ts';

/** Servers speak to each other that far above the port of their clients; the witness one further. */
const ROUTE_PORT_OFFSET = 2000;
const SELF_ROUTES = 15;
const JETSTREAM_WAIT_MS = 30_000;
const JETSTREAM_ASK_MS = 1_000;
const JETSTREAM_PAUSE_MS = 100;
/** What a server writes when another one does not take it for one of its cluster. */
const REFUSED = /rid:.*(Authorization Violation|Authentication Failure|handshake error)/i;
const RESTARTS_MAX = 5;
const RESTART_WINDOW_MS = 60_000;
const RESTART_DELAY_MS = 500;

export interface ClusterServerOptions {
  readonly binary: string;
  readonly folder: ServerFolder;
  readonly settings: ServerSettings;
  readonly key: ClusterKey;
  /** Something went wrong that was mended. */
  warn(message: string): void;
  /** The server can't be kept running. */
  onLost(error: BusUnavailableError): void;
}

export interface ClusterServer {
  readonly url: string;
  /** For the node beside it. */
  readonly connection: NatsOptions;
  readonly system: NatsOptions;
  /** False when JetStream has no leader in time: too few servers of the cluster are there. */
  waitForJetStream(options: {
    readonly signal: AbortSignal;
    /** Also false as soon as another server refuses this one. */
    readonly untilRefused: boolean;
  }): Promise<boolean>;
  /** What the server wrote last, without passwords. */
  log(): string;
  /** Ends the witness for good; the server no longer looks for it. */
  stopWitness(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Runs this machine's server of a cluster and keeps it running; the first of a cluster has a witness beside it.
 *
 * JetStream in a cluster needs two servers before it works at all, and what a server stored outside a cluster is
 * deleted when it joins one. So the first server is in a cluster from its first start, with a small second one
 * for company; both have votes, so that the loss of one joined machine stops nothing.
 *
 * @throws UserInputError when a port is taken, BusUnavailableError when the server does not start.
 */
export async function startClusterServer(options: ClusterServerOptions): Promise<ClusterServer> {
  const { settings, key } = options;
  const { tls } = settings;
  const near = nearHost(settings);
  for (const wanted of portsOf(settings)) await assertPortFree(settings.listen, wanted);
  const keepers = planServers(options, near).map((config) => new ServerKeeper(options, config));
  try {
    await Promise.all(keepers.map((keeper) => keeper.start()));
  } catch (error) {
    await Promise.all(keepers.map((keeper) => keeper.stop()));
    throw error;
  }
  const connections = connectOwn(settings, key);
  return {
    url: `${tls ? 'tls' : 'nats'}://${describeAddress(settings)}`,
    ...connections,
    waitForJetStream: ({ signal, untilRefused }) =>
      waitForJetStream(connections.connection, signal, () => {
        return untilRefused && REFUSED.test(keepers[0]!.log());
      }),
    log: () => redact(keepers[0]!.log(), key),
    async stopWitness() {
      await keepers[1]?.stop();
      keepers[0]!.configure(
        planServers({ ...options, settings: { ...settings, witness: false } }, near)[0]!,
      );
    },
    async stop() {
      // The witness goes last, so that the other hands over its votes in good order.
      for (const keeper of keepers) await keeper.stop();
    },
  };
}

/** From this machine to its own server: of jobs and nodes, and of the server's own account. */
export function connectOwn(
  settings: ServerSettings,
  key: ClusterKey,
): Pick<ClusterServer, 'connection' | 'system'> {
  const { port, tls } = settings;
  const connect = (login: Login): NatsOptions => ({
    servers: `${tls ? 'tls' : 'nats'}://${formatAddress(nearHost(settings), port)}`,
    ...login,
    timeoutMs: 5_000,
    ...(tls && { tls: { ca: key.authority.certificate, serverName: SERVER_NAME } }),
  });
  return { connection: connect(key.client), system: connect(key.system) };
}

function nearHost({ listen }: ServerSettings): string {
  return isWildcard(listen) ? '127.0.0.1' : listen;
}

/** Under which others reach the server. */
export function advertisedHost({ advertise, listen }: ServerSettings): string {
  return advertise ?? (isWildcard(listen) ? (externalAddresses()[0] ?? 'localhost') : listen);
}

/** The same with the port. */
export function describeAddress(settings: ServerSettings): string {
  return formatAddress(advertisedHost(settings), settings.port);
}

/** What connects nodes and jobs on any machine, and what connects those who only call and look. */
export function describeConnections(
  settings: ServerSettings,
  key: ClusterKey,
): { readonly node: ConnectionFile; readonly caller: ConnectionFile } {
  const { tls, join: joined, peers = [] } = settings;
  const scheme = tls ? 'tls' : 'nats';
  const addresses = new Set([describeAddress(settings), ...joined, ...peers]);
  const common = {
    servers: [...addresses].map((server) => `${scheme}://${server}`),
    ...(tls && { ca: key.authority.certificate, serverName: SERVER_NAME }),
  };
  return {
    node: { ...common, ...key.client },
    caller: { ...common, ...key.caller, inboxPrefix: CALLER_INBOX },
  };
}

/** Of clients, and of servers among each other. */
function portsOf({ port, witness }: ServerSettings): readonly number[] {
  const routePort = port + ROUTE_PORT_OFFSET;
  return witness ? [port, routePort, routePort + 1] : [port, routePort];
}

function planServers(
  { folder, settings, key }: ClusterServerOptions,
  near: string,
): readonly ServerConfig[] {
  const { name, listen, port, witness } = settings;
  const advertise = advertisedHost(settings);
  const routePort = port + ROUTE_PORT_OFFSET;
  const common = { key, host: listen, advertise, ...writeCertificates(folder, settings, key) };
  const server: ServerConfig = {
    ...common,
    name,
    clientPort: port,
    routePort,
    routes: [
      ...(witness
        ? [formatAddress(near, routePort + 1)]
        : selfRoutes(formatAddress(near, routePort))),
      ...new Set([...settings.join, ...(settings.peers ?? [])].map(routeOf)),
    ],
    storeDir: folder.at('jetstream'),
    pidFile: folder.at('server.pid'),
    witness: false,
  };
  if (!witness) return [server];
  const voting: ServerConfig = {
    ...common,
    name: witnessName(name),
    clientPort: 0,
    routePort: routePort + 1,
    routes: [formatAddress(near, routePort)],
    storeDir: folder.at('witness'),
    pidFile: folder.at('witness.pid'),
    witness: true,
  };
  return [server, voting];
}

export function witnessName(serverName: string): string {
  return `${serverName}-witness`;
}

/**
 * Without a configured route JetStream does not start. One to the server itself counts, and is dropped. And a new
 * server takes the number of its routes for the size of the cluster: were that two, two that join at the same time
 * would find a majority in each other and part from the cluster that they were to join. The path, which means
 * nothing, tells the routes apart.
 */
function selfRoutes(address: string): readonly string[] {
  return Array.from({ length: SELF_ROUTES }, (_, index) => `${address}/${index + 1}`);
}

function routeOf(address: string): string {
  const { hostname: host, port } = new URL(`nats://${address}`);
  return `${host}:${Number(port) + ROUTE_PORT_OFFSET}`;
}

/** New ones at each start: addresses change, and a certificate costs nothing. */
function writeCertificates(
  folder: ServerFolder,
  settings: ServerSettings,
  { authority }: ClusterKey,
): Pick<ServerConfig, 'tls'> {
  const { listen, tls } = settings;
  if (!tls) return {};
  const advertise = advertisedHost(settings);
  const hosts = new Set([SERVER_NAME, hostname(), 'localhost', '127.0.0.1', '::1', advertise]);
  for (const host of [listen, ...externalAddresses()]) if (!isWildcard(host)) hosts.add(host);
  const { certificate, key } = authority.issue([...hosts]);
  return {
    tls: {
      certFile: folder.write('server.pem', certificate),
      keyFile: folder.write('server.key', key),
      caFile: folder.write('ca.pem', authority.certificate),
    },
  };
}

/** One server process, started again when it ends by itself. */
class ServerKeeper {
  readonly #options: ClusterServerOptions;
  #config: ServerConfig;
  readonly #stopping = new AbortController();
  #process: NatsServerProcess | undefined;
  #restarts: number[] = [];

  constructor(options: ClusterServerOptions, config: ServerConfig) {
    this.#options = options;
    this.#config = config;
  }

  async start(): Promise<void> {
    const { binary } = this.#options;
    const launched = await launchNatsServer({
      binary,
      configFile: this.#writeConfig(),
      clustered: true,
      detached: true,
    });
    this.#process = launched;
    if (this.#stopping.signal.aborted) return await launched.stop();
    void launched.ended.then((how) => this.#noteEnd(how));
  }

  /** While it runs, as far as a nats-server can be: its routes. */
  configure(config: ServerConfig): void {
    this.#config = config;
    this.#writeConfig();
    this.#process?.signal('SIGHUP');
  }

  #writeConfig(): string {
    const name = this.#config.witness ? 'witness.conf' : 'server.conf';
    return this.#options.folder.write(name, formatServerConfig(this.#config));
  }

  log(): string {
    return this.#process?.log() ?? '';
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#process?.stop();
    rmSync(this.#config.pidFile, { force: true });
  }

  async #noteEnd(how: string): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const { warn, onLost, key } = this.#options;
    const now = performance.now();
    this.#restarts = [...this.#restarts.filter((at) => now - at < RESTART_WINDOW_MS), now];
    const last = redact(this.log().split('\n').slice(-5).join('\n'), key);
    if (this.#restarts.length > RESTARTS_MAX) {
      onLost(
        new BusUnavailableError(`${how} ${RESTARTS_MAX} times in a minute. Its log:\n${last}`),
      );
      return;
    }
    warn(`${how}; starting it again. Its last lines:\n${last}`);
    try {
      await delay(RESTART_DELAY_MS, undefined, { signal });
      await this.start();
    } catch (error) {
      if (!signal.aborted) await this.#noteEnd((error as Error).message);
    }
  }
}

function redact(text: string, key: ClusterKey): string {
  const secrets = [key.client, key.caller, key.system, key.route].map(({ password }) => password);
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}

/** A server answers clients before JetStream has a leader, which needs most of the cluster's servers. */
async function waitForJetStream(
  options: NatsOptions,
  signal: AbortSignal,
  isRefused: () => boolean,
): Promise<boolean> {
  const giveUpAt = performance.now() + JETSTREAM_WAIT_MS;
  while (performance.now() < giveUpAt && !isRefused()) {
    signal.throwIfAborted();
    if (await hasJetStream(options)) return true;
    await delay(JETSTREAM_PAUSE_MS, undefined, { signal });
  }
  return false;
}

async function hasJetStream(options: NatsOptions): Promise<boolean> {
  try {
    const bus = await connectNatsBus(options);
    const asked = { timeoutMs: JETSTREAM_ASK_MS };
    const answer = bus.request('$JS.API.INFO', new Uint8Array(), asked);
    const { data } = await answer.finally(() => bus.close());
    return (JSON.parse(Buffer.from(data).toString()) as { error?: unknown }).error === undefined;
  } catch {
    // It starts, or starts again.
    return false;
  }
}
