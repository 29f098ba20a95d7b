import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { UserInputError } from '../../errors.ts';
import { isLoopback } from '../../loopback.ts';
import { addressTowards, assertSecured, externalAddresses, isWildcard } from './listen-address.ts';
import type { ServerSettings } from './server-folder.ts';

export interface SettingsFlags {
  readonly join?: string;
  readonly listen?: string;
  readonly advertise?: string;
  readonly port?: number;
  /** Default: everywhere but on loopback. */
  readonly tls?: boolean;
  readonly insecure?: boolean;
}

export const defaultPort = 4222;

/**
 * What a server is started with: by flags, else as it was before, else by default.
 *
 * @throws UserInputError
 */
export async function planSettings(
  flags: SettingsFlags,
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
  const same = before?.listen === listen ? before : undefined;
  const advertise = flags.advertise ?? same?.advertise;
  if (advertise === undefined && isWildcard(listen) && externalAddresses().length === 0) {
    throw new UserInputError('This machine has no address for others; give one by --advertise.');
  }
  const tls = flags.tls ?? same?.tls ?? !isLoopback(listen);
  if (flags.insecure && (flags.tls ?? same?.tls) !== false) {
    throw new UserInputError(
      '--insecure is for a server without TLS: add --no-tls, or leave it out.',
    );
  }
  const insecureAllowed = flags.insecure === true || same?.tls === false;
  assertSecured({ host: listen, secured: tls, insecureAllowed });
  const name = before?.name ?? createServerName();
  const port = flags.port ?? before?.port ?? defaultPort;
  const witness = before?.witness ?? join.length === 0;
  const { peers } = before ?? {};
  const optional = { ...(advertise && { advertise }), ...(peers && { peers }) };
  return { name, listen, ...optional, port, tls, join, witness };
}

/** Never the same twice: one that has left is unknown when it comes back. */
export function createServerName(): string {
  return `${hostname().split('.')[0]}-${randomBytes(3).toString('hex')}`;
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
