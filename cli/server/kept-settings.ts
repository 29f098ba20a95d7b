import type { ClusterKey } from './cluster-key.ts';
import { describeConnections } from './cluster-server.ts';
import type { ServerFolder, ServerSettings } from './server-folder.ts';

/** Keeps what a server is started with next time, and the files that connect to all servers it knows. */
export function keepSettings(
  folder: ServerFolder,
  settings: ServerSettings,
  key: ClusterKey,
): void {
  const { node, caller } = describeConnections(settings, key);
  folder.write('nats.json', toText(node));
  folder.write('caller.json', toText(caller));
  folder.writeSettings(settings);
}

function toText(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
