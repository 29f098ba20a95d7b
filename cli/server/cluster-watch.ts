import { setTimeout as delay } from 'node:timers/promises';
import {
  type Bus,
  connectNatsBus,
  listNatsServers,
  replicateStreams,
} from '../../runtime/index.ts';
import { type ClusterServer, describeAddress, witnessName } from './cluster-server.ts';
import type { ServerFolder, ServerSettings } from './server-folder.ts';

const LOOK_EVERY_MS = 10_000;
const ANSWERS_MS = 2_000;
const REPLICATE_MS = 5_000;
/** So many real servers have a majority without one of them. */
const SERVERS_ENOUGH = 3;
const PEERS_MAX = 64;

/** Follows who is in the cluster, and keeps it in the server's folder. */
export function watchCluster(options: {
  readonly server: ClusterServer;
  readonly settings: ServerSettings;
  readonly folder: ServerFolder;
  warn(message: string): void;
}): Disposable {
  const { server, folder, warn } = options;
  let { settings } = options;
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      const found = await lookAtCluster(server, settings);
      if (JSON.stringify(found) !== JSON.stringify(settings)) folder.writeSettings(found);
      settings = found;
    } catch (error) {
      warn(`the cluster could not be looked at: ${(error as Error).message}`);
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/**
 * The settings with the servers that there are now, so that those which are left find each other without the first
 * one. With three, once each has a replica of everything, the witness is dismissed for good: with it, the first
 * machine would have two votes of four, and its loss would stop JetStream.
 */
export async function lookAtCluster(
  server: Pick<ClusterServer, 'connection' | 'system' | 'stopWitness'>,
  settings: ServerSettings,
): Promise<ServerSettings> {
  const listed = await listNatsServers(server.connection);
  const others = listed.filter((address) => address !== describeAddress(settings));
  // One that is away for a while is not forgotten.
  const peers = [...new Set([...(settings.peers ?? []), ...others])].sort().slice(-PEERS_MAX);
  const known = peers.length > 0 ? { ...settings, peers } : settings;
  if (!settings.witness || others.length + 1 < SERVERS_ENOUGH) return known;
  // Else the loss of one machine could still be the loss of what only that one has.
  if (!(await hasReplicas(server))) return known;
  return (await dismissWitness(server, settings)) ? { ...known, witness: false } : known;
}

async function hasReplicas({ connection }: Pick<ClusterServer, 'connection'>): Promise<boolean> {
  const bus = await connectNatsBus(connection);
  try {
    return await replicateStreams(bus, { timeoutMs: REPLICATE_MS });
  } finally {
    await bus.close();
  }
}

/** False while there are too few servers. */
async function dismissWitness(
  server: Pick<ClusterServer, 'system' | 'stopWitness'>,
  { name }: ServerSettings,
): Promise<boolean> {
  const bus = await connectNatsBus(server.system);
  try {
    const names = await listServers(bus);
    if (names.filter((each) => !each.endsWith(witnessName(''))).length < SERVERS_ENOUGH) {
      return false;
    }
    // Removed while it runs: of a server that is gone JetStream no longer knows the name.
    const order = Buffer.from(JSON.stringify({ peer: witnessName(name) }));
    const options = { timeoutMs: 5_000 };
    const { data } = await bus.request('$JS.API.SERVER.REMOVE', order, options);
    const { error } = JSON.parse(Buffer.from(data).toString()) as { error?: { code?: number } };
    if (error !== undefined) throw new Error(JSON.stringify(error));
    await server.stopWitness();
    return true;
  } finally {
    await bus.close();
  }
}

/** The names of all servers that answer soon. */
async function listServers(bus: Bus): Promise<readonly string[]> {
  const names = new Set<string>();
  const inbox = bus.createInbox();
  bus.subscribe(inbox, ({ data }) => {
    const answer = JSON.parse(Buffer.from(data).toString()) as { server?: { name?: string } };
    if (answer.server?.name !== undefined) names.add(answer.server.name);
  });
  bus.publish('$SYS.REQ.SERVER.PING', new Uint8Array(), { replySubject: inbox });
  await delay(ANSWERS_MS);
  return [...names];
}
