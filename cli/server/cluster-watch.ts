import { type Bus, connectNatsBus } from '../../runtime/index.ts';
import { type ClusterServer, witnessName } from './cluster-server.ts';
import type { ServerFolder, ServerSettings } from './server-folder.ts';

const LOOK_EVERY_MS = 10_000;
const ANSWERS_MS = 2_000;
/** So many real servers have a majority without one of them. */
const SERVERS_ENOUGH = 3;

/**
 * Dismisses the witness for good once the cluster has three servers: with it, the first machine would have two
 * votes of four, and its loss would stop JetStream.
 */
export function watchWitness(options: {
  readonly server: ClusterServer;
  readonly settings: ServerSettings;
  readonly folder: ServerFolder;
  warn(message: string): void;
}): Disposable {
  const { server, settings, folder, warn } = options;
  if (!settings.witness) return { [Symbol.dispose]() {} };
  let looking = false;
  const timer = setInterval(async () => {
    if (looking) return;
    looking = true;
    try {
      if (!(await dismissWitness(server, settings))) return;
      clearInterval(timer);
      const text = JSON.stringify({ ...settings, witness: false }, undefined, 2);
      folder.write('server.json', `${text}\n`);
    } catch (error) {
      warn(`the witness of this server could not be dismissed yet: ${(error as Error).message}`);
    } finally {
      looking = false;
    }
  }, LOOK_EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** False while there are too few servers. */
export async function dismissWitness(
  server: Pick<ClusterServer, 'system' | 'stopWitness'>,
  { name }: Pick<ServerSettings, 'name'>,
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
  await new Promise((resolve) => setTimeout(resolve, ANSWERS_MS));
  return [...names];
}
