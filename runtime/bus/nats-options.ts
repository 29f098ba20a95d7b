import { readFile } from 'node:fs/promises';
import {
  credsAuthenticator,
  type NodeConnectionOptions,
  nkeyAuthenticator,
} from '@nats-io/transport-node';
import { BusUnavailableError } from '../../errors.ts';

export interface NatsTlsOptions {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

export interface NatsOptions {
  /** `nats://host:port`, or several of one cluster; a user and password in them are used. */
  readonly servers: string | readonly string[];
  readonly token?: string;
  readonly user?: string;
  readonly password?: string;
  /** A file with a user's JWT and seed, as `nsc` writes it. */
  readonly credsFile?: string;
  readonly nkeySeed?: string;
  /** Present: only encrypted connections are made. */
  readonly tls?: NatsTlsOptions;
  /** For the first connection; later ones are tried for ever. */
  readonly timeoutMs: number;
  /** What the server's monitoring shows. */
  readonly name?: string;
}

export interface NatsTarget {
  /** For error messages: without credentials. */
  readonly addresses: string;
  readonly connection: NodeConnectionOptions;
  /** The text without any secret that was given. */
  redact(text: string): string;
}

/** @throws TypeError for options that can't be used; BusUnavailableError for an unreadable file. */
export async function resolveNatsTarget(options: NatsOptions): Promise<NatsTarget> {
  const listed = typeof options.servers === 'string' ? options.servers.split(',') : options.servers;
  const urls = listed.map((server) => parseServer(server.trim()));
  if (urls.length === 0)
    throw new TypeError('Expected at least one NATS server, as nats://host:4222.');
  const [first] = urls;
  const urlUser = decodeURIComponent(first!.username);
  const urlPassword = decodeURIComponent(first!.password);
  // As for other NATS clients, a user without a password is a token.
  const token = options.token ?? (urlUser && !urlPassword ? urlUser : undefined);
  const user = options.user ?? (urlPassword ? urlUser : undefined);
  const password = options.password ?? (urlPassword || undefined);
  const authenticator = await readAuthenticator(options);
  const addresses = urls.map((url) => `${url.protocol}//${url.host}`);
  const secrets = [token, password, options.nkeySeed, ...urls.map((url) => url.password)];
  return {
    addresses: addresses.join(', '),
    connection: {
      servers: addresses,
      ...(token !== undefined && { token }),
      ...(user !== undefined && { user }),
      ...(password !== undefined && { pass: password }),
      ...(authenticator && { authenticator }),
      ...(options.tls && { tls: options.tls }),
      ...(options.name !== undefined && { name: options.name }),
    },
    redact: (text) => redact(text, secrets),
  };
}

function parseServer(server: string): URL {
  const text = server.includes('://') ? server : `nats://${server}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.hostname && ['nats:', 'tls:'].includes(url.protocol)) {
    if (url.port === '') url.port = '4222';
    return url;
  }
  throw new TypeError(
    `"${redact(server, [])}" is no NATS server. Expected nats://host:port or tls://host:port.`,
  );
}

async function readAuthenticator({ credsFile, nkeySeed }: NatsOptions) {
  if (nkeySeed !== undefined) return nkeyAuthenticator(Buffer.from(nkeySeed));
  if (credsFile === undefined) return undefined;
  try {
    return credsAuthenticator(await readFile(credsFile));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BusUnavailableError(`Can't read the NATS credentials: ${why}`, { cause });
  }
}

function redact(text: string, secrets: readonly (string | undefined)[]): string {
  let clean = text.replace(/\/\/[^@/\s]*@/g, '//');
  for (const secret of secrets) if (secret) clean = clean.replaceAll(secret, '***');
  return clean;
}
