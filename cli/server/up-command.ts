import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BusUnavailableError, UserInputError } from '../../errors.ts';
import { isLoopback } from '../../loopback.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { Interruption } from '../interruption.ts';
import type { CommandContext } from '../program.ts';
import { takeRunLock } from '../run/run-lock.ts';
import { type ClusterKey, createClusterKey, parseClusterKey } from './cluster-key.ts';
import { advertisedHost, type ClusterServer, startClusterServer } from './cluster-server.ts';
import { lookAtCluster, watchCluster } from './cluster-watch.ts';
import { keepSettings } from './kept-settings.ts';
import { leaveCluster } from './leave-cluster.ts';
import { endLeftBehind } from './left-behind.ts';
import { whyUnreachable } from './listen-address.ts';
import { searchNatsServer } from './nats-server-binary.ts';
import { type NodeOptions, type NodePlan, planNode, serveNode, watchNode } from './node-command.ts';
import {
  type NodeSettings,
  nodeSettingsName,
  planNodeSettings,
  readNodeSettings,
} from './node-settings.ts';
import {
  createServerName,
  defaultPort,
  planSettings,
  type SettingsFlags,
} from './plan-settings.ts';
import {
  defaultServerFolder,
  openServerFolder,
  type ServerFolder,
  type ServerSettings,
} from './server-folder.ts';

export interface UpFlags extends NodeOptions, SettingsFlags {
  readonly keyFile?: string;
  readonly dir?: string;
}

/**
 * `actorctl up`: a nats-server with JetStream and credentials of its own, and a node on it, until it is told to
 * stop. What it was started with is kept in its folder.
 *
 * @throws UserInputError before anything is started; of the node's options before its folder is made.
 */
export async function upCommand(flags: UpFlags, context: CommandContext): Promise<ExitCode> {
  const { output, environment } = context;
  const path =
    flags.dir === undefined
      ? defaultServerFolder(process.env)
      : resolve(environment.cwd, flags.dir);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === false) {
    throw new UserInputError(`${path} is no folder; --dir wants one, or a new one's name.`);
  }
  const node = await planOwnNode(flags, path, environment.cwd);
  using folder = openServerFolder(path);
  using _lock = takeRunLock(path);
  const before = folder.readSettings();
  const key = readKey(flags, folder, before);
  const settings = await planSettings(flags, before);
  await endLeftBehind(folder);
  const binary = await searchNatsServer({ onFetch: (what) => output.message(`Up: ${what}.`) });
  using watch = watchNode(context);
  const warn = (message: string) => output.message(message, { type: 'warning', message });
  const onLost = (error: Error) => watch.interrupt(error);
  const server = await startClusterServer({ binary, folder, settings, key, warn, onLost });
  try {
    const joining = before === undefined && settings.join.length > 0;
    // The first of a cluster has stored something from now on; one that joins must be taken in.
    if (!joining) keep(folder, settings, key);
    else await tellJoining(settings, context);
    await untilReady({ server, settings, joining, signal: watch.signal, warn });
    if (joining) keep(folder, settings, key);
    tellServer({ server, settings, folder }, context);
    const nats = server.connection;
    const onJoined = () => keepNode(folder, node.settings);
    const serve = async (): Promise<ExitCode> => {
      using _watch = watchCluster({ server, settings, folder, key, warn });
      return await serveNode({ nats, plan: node.plan, watch, context, onJoined });
    };
    const code = await serve();
    await leave({ server, folder, key }, context);
    return code;
  } catch (error) {
    if (watch.signal.reason instanceof Interruption) return exitCodes.ok;
    throw error;
  } finally {
    await server.stop();
    // What a server stored that was not taken in belongs to no cluster.
    if (folder.readSettings() === undefined) folder.forget();
  }
}

/** The server's own leaving, after its node's. Next time it joins as a new one, of which JetStream knows nothing. */
async function leave(
  up: { readonly server: ClusterServer; readonly folder: ServerFolder; readonly key: ClusterKey },
  { output }: CommandContext,
): Promise<void> {
  const { server, folder, key } = up;
  let settings = folder.readSettings();
  if (settings === undefined) return;
  if (settings.witness) {
    // The witness would go with it, so that two at once were away.
    settings = await lookAtCluster(server, settings).catch(() => settings!);
    keepSettings(folder, settings, key);
  }
  const leaving = await leaveCluster(server, settings.name);
  if (leaving.how === 'left') {
    await server.stop();
    keepSettings(folder, { ...settings, name: createServerName(), witness: false }, key);
    folder.forget();
    const event = { type: 'server', event: 'left', name: settings.name };
    output.message(`The server ${settings.name} has left the cluster.`, event);
  } else if (leaving.reason !== undefined) {
    const message = `The server ${settings.name} is still counted: ${leaving.reason}.`;
    output.message(message, { type: 'warning', message });
  }
}

/** The node by flags, else as it was before. @throws UserInputError */
async function planOwnNode(
  flags: UpFlags,
  path: string,
  cwd: string,
): Promise<{ readonly settings: NodeSettings; readonly plan: NodePlan }> {
  const before = readNodeSettings(path);
  const settings = planNodeSettings(flags, before, cwd);
  try {
    return { settings, plan: await planNode(settings, cwd) };
  } catch (error) {
    if (before === undefined || !(error instanceof UserInputError)) throw error;
    throw new UserInputError(
      `${error.message} The node's options are kept in ${join(path, nodeSettingsName)}: give that ` +
        'one again, or delete the file.',
      { cause: error.cause },
    );
  }
}

/** It may take as long as `waitForJetStream` waits; where nobody answers, that is said at once. */
async function tellJoining(
  { join: hosts }: ServerSettings,
  { output }: CommandContext,
): Promise<void> {
  const at = hosts.join(', ');
  output.message(`Joining the cluster at ${at}.`, { type: 'server', event: 'joining', hosts });
  const reasons = await Promise.all(hosts.map(whyUnreachable));
  if (reasons.includes(undefined)) return;
  const message = `No server answers at ${at} yet (${reasons.join(', ')}); trying for half a minute.`;
  output.message(message, { type: 'warning', message });
}

/** @throws BusUnavailableError when the cluster doesn't take the server in; the signal's reason. */
async function untilReady(options: {
  readonly server: ClusterServer;
  readonly settings: ServerSettings;
  /** For the first time; later the other servers may be away for as long as they like. */
  readonly joining: boolean;
  readonly signal: AbortSignal;
  warn(message: string): void;
}): Promise<void> {
  const { server, settings, joining, signal, warn } = options;
  while (!(await server.waitForJetStream({ signal, untilRefused: joining }))) {
    if (joining) throw notJoined(settings, server);
    warn('JetStream waits for the other servers of the cluster; start them too.');
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

/** Only what has worked is kept, of the node too: see `keepNode`. */
function keep(folder: ServerFolder, settings: ServerSettings, key: ClusterKey): void {
  folder.write('cluster.key', `${key.text}\n`);
  keepSettings(folder, settings, key);
}

function keepNode(folder: ServerFolder, settings: NodeSettings): void {
  folder.write(nodeSettingsName, `${JSON.stringify(settings, undefined, 2)}\n`);
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
  const { listen, port } = settings;
  const advertise = advertisedHost(settings);
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
    `Who may only call actors and look gets ${folder.callerFile}.`,
    ...others,
  ];
  output.message(lines.join('\n'), {
    type: 'server',
    name: settings.name,
    url: server.url,
    keyFile: folder.keyFile,
    connectionFile: folder.connectionFile,
    callerFile: folder.callerFile,
  });
}
