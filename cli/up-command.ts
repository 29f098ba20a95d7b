import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { BusUnavailableError, UserInputError } from '../errors.ts';
import type { ExitCode } from './exit-codes.ts';
import { type NodeOptions, serveNode, watchNode } from './node-command.ts';
import type { CommandContext } from './program.ts';
import { takeRunLock } from './run-lock.ts';
import { type ClusterKey, createClusterKey, parseClusterKey } from './server/cluster-key.ts';
import {
  type ClusterServer,
  describeConnection,
  startClusterServer,
} from './server/cluster-server.ts';
import { endLeftBehind } from './server/left-behind.ts';
import {
  addressTowards,
  assertSecured,
  externalAddresses,
  isLoopback,
  isWildcard,
} from './server/listen-address.ts';
import { searchNatsServer } from './server/nats-server-binary.ts';
import {
  defaultServerFolder,
  openServerFolder,
  type ServerFolder,
  type ServerSettings,
} from './server/server-folder.ts';
import { watchWitness } from './server/witness-watch.ts';

export interface UpFlags extends NodeOptions {
  readonly join?: string;
  readonly keyFile?: string;
  readonly listen?: string;
  readonly advertise?: string;
  readonly port?: number;
  readonly dir?: string;
  /** Default: everywhere but on loopback. */
  readonly tls?: boolean;
  readonly insecure?: boolean;
}

const defaultPort = 4222;

/**
 * `actorctl up`: a nats-server with JetStream and credentials of its own, and a node on it, until it is told to
 * stop. What it was started with is kept in its folder.
 *
 * @throws UserInputError before anything is started.
 */
export async function upCommand(flags: UpFlags, context: CommandContext): Promise<ExitCode> {
  const { output, environment } = context;
  const path =
    flags.dir === undefined
      ? defaultServerFolder(process.env)
      : resolve(environment.cwd, flags.dir);
  const folder = openServerFolder(path);
  using _lock = takeRunLock(path);
  const before = folder.readSettings();
  const key = readKey(flags, folder, before);
  const settings = await planSettings(flags, before);
  await endLeftBehind(folder);
  const binary = await searchNatsServer({ onFetch: (what) => output.message(`Up: ${what}.`) });
  using watch = watchNode(context);
  const warn = (message: string) => output.message(message, { type: 'warning', message });
  const server = await startClusterServer({
    binary,
    folder,
    settings,
    key,
    warn,
    onLost: (error) => watch.interrupt(error),
  });
  try {
    const first = before === undefined;
    if (!(await server.waitForJetStream({ signal: watch.signal, untilRefused: first }))) {
      if (first) throw notJoined(settings, server);
      warn('JetStream waits for the other servers of the cluster; start them too.');
    }
    keep(folder, settings, key);
    tellServer({ server, settings, folder }, context);
    using _watch = watchWitness({ server, settings, folder, warn });
    return await serveNode({ nats: server.connection, flags, watch, context });
  } finally {
    await server.stop();
  }
}

/** The key of this folder, of the cluster to be joined, or a new one. */
function readKey(
  flags: UpFlags,
  folder: ServerFolder,
  before: ServerSettings | undefined,
): ClusterKey {
  const kept = before && folder.readKey();
  const given = flags.keyFile === undefined ? process.env.CODISTILL_CLUSTER_KEY : undefined;
  const text = flags.keyFile === undefined ? given : readKeyFile(flags.keyFile);
  const key = text ? parseClusterKey(text) : undefined;
  if (kept !== undefined) {
    if (key === undefined || key.text === kept.text) return kept;
    throw new UserInputError(
      `${folder.path} belongs to another cluster than that key. Give another --dir, or delete it ` +
        'with all that its server stored.',
    );
  }
  if (key !== undefined) return key;
  if (flags.join === undefined) return createClusterKey();
  throw new UserInputError(
    `Joining ${flags.join} takes the key of that cluster, which actorctl up there keeps in ` +
      'cluster.key:\n  ssh HOST cat .local/share/codistill/server/cluster.key | actorctl up --join ' +
      `${flags.join} --key-file -`,
  );
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path === '-' ? process.stdin.fd : path, 'utf8');
  } catch (cause) {
    throw new UserInputError(`--key-file can't be read: ${(cause as Error).message}`, { cause });
  }
}

async function planSettings(
  flags: UpFlags,
  before: ServerSettings | undefined,
): Promise<ServerSettings> {
  const join = flags.join?.split(',').map(parseHost) ?? before?.join ?? [];
  if (before && before.join.length === 0 && join.length > 0) {
    throw new UserInputError(
      'The server in this folder is the first of a cluster of its own, so it joins no other. Give ' +
        'another --dir.',
    );
  }
  const listen = flags.listen ?? before?.listen ?? (await defaultAddress(join));
  const advertise = flags.advertise ?? (isWildcard(listen) ? externalAddresses()[0] : listen);
  if (advertise === undefined) {
    throw new UserInputError('This machine has no address for others; give one by --advertise.');
  }
  const tls = flags.tls ?? (before?.listen === listen ? before.tls : !isLoopback(listen));
  const insecureAllowed = flags.insecure === true || before?.listen === listen;
  assertSecured({ host: listen, secured: tls, insecureAllowed });
  const name = before?.name ?? `${hostname().split('.')[0]}-${randomBytes(3).toString('hex')}`;
  const port = flags.port ?? before?.port ?? defaultPort;
  const witness = before?.witness ?? join.length === 0;
  return { name, listen, advertise, port, tls, join, witness };
}

/** This machine alone; or where the servers that are joined reach it. */
async function defaultAddress(join: readonly string[]): Promise<string> {
  const [first] = join;
  if (first === undefined) return '127.0.0.1';
  const { hostname: host } = new URL(`nats://${first}`);
  return await addressTowards(host.replace(/^\[|\]$/g, ''));
}

/** `host:port`, from what people write. */
function parseHost(text: string): string {
  const address = text.trim().replace(/^(nats|tls):\/\//, '');
  const url = URL.parse(`nats://${address}`);
  if (url === null || url.hostname === '' || url.username !== '') {
    throw new UserInputError('--join wants a host such as 10.0.0.5 or 10.0.0.5:4222.');
  }
  return `${url.hostname}:${url.port || defaultPort}`;
}

function notJoined(settings: ServerSettings, server: ClusterServer): BusUnavailableError {
  const telling = server
    .log()
    .split('\n')
    .filter((line) => /\[(ERR|WRN|FTL)\]/.test(line));
  const what =
    settings.join.length > 0
      ? `No server of the cluster at ${settings.join.join(', ')} took this one in. Is actorctl up ` +
        'running there with --listen, can its ports be reached, and is the key the right one?'
      : 'JetStream did not come up.';
  return new BusUnavailableError(`${what} The server wrote:\n${telling.slice(-5).join('\n')}`);
}

/** Only what has worked is kept. */
function keep(folder: ServerFolder, settings: ServerSettings, key: ClusterKey): void {
  folder.write('cluster.key', `${key.text}\n`);
  folder.write('nats.json', `${JSON.stringify(describeConnection(settings, key), undefined, 2)}\n`);
  folder.write('server.json', `${JSON.stringify(settings, undefined, 2)}\n`);
}

function tellServer(
  up: {
    readonly server: ClusterServer;
    readonly settings: ServerSettings;
    readonly folder: ServerFolder;
  },
  { output }: CommandContext,
): void {
  const { server, settings, folder } = up;
  const { listen, advertise, port } = settings;
  const host = port === defaultPort ? advertise : `${advertise}:${port}`;
  const others = isLoopback(listen)
    ? ['Only this machine reaches it; actorctl up --listen ADDRESS opens it to others.']
    : [
        'Another machine adds its server and a node by:',
        `  ssh ${advertise} cat ${folder.keyFile} | actorctl up --join ${host} --key-file -`,
        `or, with a copy of ${folder.connectionFile}, a node alone:`,
        '  actorctl node --nats nats.json',
      ];
  const lines = [
    `nats-server ${settings.name} at ${server.url}, in ${folder.path}`,
    'Jobs run on it by:',
    `  actorctl run JOB --nats ${folder.connectionFile}`,
    ...others,
  ];
  output.message(lines.join('\n'), {
    type: 'server',
    name: settings.name,
    url: server.url,
    keyFile: folder.keyFile,
    connectionFile: folder.connectionFile,
  });
}
