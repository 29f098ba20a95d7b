import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { UserInputError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import type { CommandContext } from '../program.ts';
import { connectOwn } from './cluster-server.ts';
import { removeServer } from './leave-cluster.ts';
import { defaultServerFolder, openServerFolder } from './server-folder.ts';

export interface RemoveServerFlags {
  readonly dir?: string;
}

/**
 * `actorctl server remove NAME`: a server that is lost counts no longer. By the server of this machine, whose folder
 * has the cluster's key.
 */
export async function removeServerCommand(
  name: string,
  flags: RemoveServerFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const path =
    flags.dir === undefined
      ? defaultServerFolder(process.env)
      : resolve(environment.cwd, flags.dir);
  const exists = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  using folder = exists ? openServerFolder(path) : undefined;
  const settings = folder?.readSettings();
  const key = folder?.readKey();
  if (settings === undefined || key === undefined) {
    throw new UserInputError(
      `${path} is no folder of actorctl up. Run this on a machine of the cluster, with its --dir.`,
    );
  }
  const left = await removeServer(connectOwn(settings, key), name);
  const names = left.map((each) => `${each.name}${each.isThere ? '' : ' (away)'}`).join(', ');
  output.message(`${name} is removed. There are: ${names}.`, {
    type: 'server',
    event: 'removed',
    name,
    servers: left.map((each) => each.name),
  });
  return exitCodes.ok;
}
