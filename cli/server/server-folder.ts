import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { DamagedDataError, UserInputError } from '../../errors.ts';
import { readIfThere, writeAtomically } from '../atomic-file.ts';
import { type ClusterKey, parseClusterKey } from './cluster-key.ts';

/** What a server keeps of its flags, so that the next `actorctl up` needs none. */
export interface ServerSettings {
  /** Unique in the cluster: JetStream knows its members by it. */
  readonly name: string;
  readonly listen: string;
  /** What others are told, if that was given. */
  readonly advertise?: string | undefined;
  /** Of clients; servers speak to each other on ports of their own, see ServerPorts. */
  readonly port: number;
  readonly tls: boolean;
  /** `host:port` of the servers that it joins; none for the first of a cluster. */
  readonly join: readonly string[];
  /** `host:port` of other servers that were seen in the cluster. */
  readonly peers?: readonly string[] | undefined;
  /** It runs a second server that only votes. */
  readonly witness: boolean;
}

/** What a server needs before it has been taken in. */
const written = [
  ...['jetstream', 'witness'],
  ...['server.conf', 'witness.conf', 'server.pid', 'witness.pid'],
  ...['server.pem', 'server.key', 'ca.pem'],
];

const settingsSchema: v.GenericSchema<unknown, ServerSettings> = v.object({
  name: v.string(),
  listen: v.string(),
  advertise: v.optional(v.string()),
  port: v.number(),
  tls: v.boolean(),
  join: v.array(v.string()),
  peers: v.optional(v.array(v.string())),
  witness: v.boolean(),
});

/** The files of `actorctl up`; only their owner may read them. Disposing removes what was made and is empty. */
export interface ServerFolder extends Disposable {
  readonly path: string;
  /** What joins servers to the cluster. */
  readonly keyFile: string;
  /** What connects nodes and jobs: `--nats` takes it. */
  readonly connectionFile: string;
  /** The same for those who only call and look. */
  readonly callerFile: string;
  at(name: string): string;
  /** Undefined before the first start. @throws DamagedDataError */
  readSettings(): ServerSettings | undefined;
  writeSettings(settings: ServerSettings): void;
  readKey(): ClusterKey | undefined;
  /** Replaces a file atomically, with mode 600. */
  write(name: string, text: string): string;
  /** Deletes all of a server that was never taken in. */
  forget(): void;
}

/** `$XDG_DATA_HOME/codistill/server`, else below `~/.local/share`. */
export function defaultServerFolder(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const data = environment.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  return join(data, 'codistill', 'server');
}

/** @throws UserInputError when it is not there and can't be made. */
export function openServerFolder(path: string): ServerFolder {
  const made = makeFolder(path);
  const at = (name: string): string => join(path, name);
  return {
    path,
    keyFile: at('cluster.key'),
    connectionFile: at('nats.json'),
    callerFile: at('caller.json'),
    at,
    readSettings() {
      const text = readIfThere(at('server.json'));
      if (text === undefined) return undefined;
      try {
        return v.parse(settingsSchema, JSON.parse(text));
      } catch (cause) {
        throw new DamagedDataError(`${at('server.json')} is damaged; delete it to start anew.`, {
          cause,
        });
      }
    },
    writeSettings(settings) {
      writePrivately(at('server.json'), `${JSON.stringify(settings, undefined, 2)}\n`);
    },
    readKey() {
      const text = readIfThere(at('cluster.key'));
      return text === undefined ? undefined : parseClusterKey(text);
    },
    write: (name, text) => writePrivately(at(name), text),
    forget() {
      for (const name of written) rmSync(at(name), { recursive: true, force: true });
    },
    [Symbol.dispose]: () => removeEmpty(path, made),
  };
}

/** The first of those that had to be made. @throws UserInputError */
function makeFolder(path: string): string | undefined {
  try {
    return mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new UserInputError(`The server's folder can't be made: ${(cause as Error).message}`);
  }
}

/** From `path` up to `top`, which is one of its parents, or itself. */
function removeEmpty(path: string, top: string | undefined): void {
  for (let each = path; top !== undefined && each.startsWith(top); each = dirname(each)) {
    try {
      rmdirSync(each);
    } catch {
      // It has something in it.
      return;
    }
  }
}

/** For the user's eyes only. */
function writePrivately(path: string, text: string): string {
  writeAtomically(path, text, 0o600);
  return path;
}
