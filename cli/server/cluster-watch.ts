import { connectNatsBus, listNatsServers, replicateStreams } from '../../runtime/index.ts';
import type { ClusterKey } from './cluster-key.ts';
import { type ClusterServer, describeAddress, witnessName } from './cluster-server.ts';
import { keepSettings } from './kept-settings.ts';
import type { ServerFolder, ServerSettings } from './server-folder.ts';
import { listMembers, removeMember } from './server-members.ts';

const LOOK_EVERY_MS = 10_000;
const REPLICATE_MS = 5_000;
/** So many real servers have a majority without one of them. */
const SERVERS_ENOUGH = 3;
const PEERS_MAX = 64;

/** Follows who is in the cluster, and keeps it in the server's folder, with what connects to all of them. */
export function watchCluster(options: {
  readonly server: ClusterServer;
  readonly settings: ServerSettings;
  readonly folder: ServerFolder;
  readonly key: ClusterKey;
  warn(message: string): void;
}): Disposable {
  const { server, folder, key, warn } = options;
  let { settings } = options;
  let looking = false;
  let isOver = false;
  let trouble: string | undefined;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      const found = await lookAtCluster(server, settings);
      if (isOver) return;
      if (JSON.stringify(found) !== JSON.stringify(settings)) keepSettings(folder, found, key);
      settings = found;
      trouble = undefined;
    } catch (error) {
      const { message } = error as Error;
      // Said once, however long it lasts.
      if (trouble === undefined && !isOver) warn(`the cluster could not be looked at: ${message}`);
      trouble = message;
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  return {
    [Symbol.dispose]() {
      isOver = true;
      clearInterval(timer);
    },
  };
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
    return (await replicateStreams(bus, { timeoutMs: REPLICATE_MS })).areWhole;
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
    const { all } = await listMembers(bus);
    const others = all.filter(({ isThere, isWitness }) => isThere && !isWitness);
    if (others.length < SERVERS_ENOUGH) return false;
    const witness = all.find((each) => each.name === witnessName(name));
    if (witness !== undefined) await removeMember(bus, witness);
    await server.stopWitness();
    return true;
  } finally {
    await bus.close();
  }
}
