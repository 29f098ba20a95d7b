import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  credsAuthenticator,
  type NodeConnectionOptions,
  nkeyAuthenticator,
} from '@nats-io/transport-node';
import { BusUnavailableError } from '../../errors.ts';

export interface NatsTlsOptions {
  /** The authority's certificate, in PEM; or the file that it is in. */
  readonly ca?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** What all servers' certificates are made out to; default: each server's own host. */
  readonly serverName?: string;
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
  /** Present, or an address with `tls://`: only encrypted connections are made. */
  readonly tls?: NatsTlsOptions;
  /** For the first connection; later ones are tried for ever. */
  readonly timeoutMs: number;
  /**
   * The largest value that is taken from another process in chunks: its size is known, and its room
   * taken, before it comes. Default `objects.memoryBytesMax` of the system, else 30 % of the memory.
   */
  readonly valueBytesMax?: number;
  /**
   * What the subjects begin with on which answers come; `_INBOX` by default. A user who may read no others'
   * answers has one of his own.
   */
  readonly inboxPrefix?: string;
  /** What the server's monitoring shows. */
  readonly name?: string;
}

export interface NatsTarget {
  /** For error messages: without credentials. */
  readonly addresses: string;
  readonly serverCount: number;
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
  const wantsTls = options.tls !== undefined || urls.some(({ protocol }) => protocol === 'tls:');
  const tls = wantsTls ? await readTls(options.tls ?? {}, urls) : undefined;
  const addresses = urls.map((url) => `${url.protocol}//${url.host}`);
  const secrets = [token, password, options.nkeySeed, ...urls.map((url) => url.password)];
  return {
    addresses: addresses.join(', '),
    serverCount: addresses.length,
    connection: {
      servers: addresses,
      ...(token !== undefined && { token }),
      ...(user !== undefined && { user }),
      ...(password !== undefined && { pass: password }),
      ...(authenticator && { authenticator }),
      ...(tls && { tls }),
      ...(options.name !== undefined && { name: options.name }),
      ...(options.inboxPrefix !== undefined && { inboxPrefix: options.inboxPrefix }),
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
  return credsAuthenticator(Buffer.from(await readPart('credentials', credsFile)));
}

async function readTls(tls: NatsTlsOptions, urls: readonly URL[]) {
  const ca = tls.ca ?? (await readPart('certificate authority', tls.caFile));
  const cert = await readPart('client certificate', tls.certFile);
  const key = await readPart('key of the client certificate', tls.keyFile);
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(tls.serverName !== undefined
      ? { servername: tls.serverName }
      : { checkServerIdentity: identityCheck(urls) }),
  };
}

/**
 * The client library gives TLS no name for a server that is addressed by a number, and TLS then expects
 * `localhost` in its certificate. What must be there is one of the addresses that were given.
 */
function identityCheck(urls: readonly URL[]) {
  const hosts = urls.map(({ hostname }) => hostname.replace(/^\[|\]$/g, ''));
  const addresses = hosts.filter((host) => isIP(host) > 0);
  return (name: string, certificate: PeerCertificate): Error | undefined => {
    if (hosts.includes(name) || addresses.length === 0) {
      return checkServerIdentity(name, certificate);
    }
    const refusals = addresses.map((address) => checkServerIdentity(address, certificate));
    return refusals.includes(undefined) ? undefined : refusals[0];
  };
}

async function readPart(what: string, path: string): Promise<string>;
async function readPart(what: string, path: string | undefined): Promise<string | undefined>;
async function readPart(what: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BusUnavailableError(`Can't read the NATS ${what}: ${why}`, { cause });
  }
}

function redact(text: string, secrets: readonly (string | undefined)[]): string {
  let clean = text.replace(/\/\/[^@/\s]*@/g, '//');
  for (const secret of secrets) if (secret) clean = clean.replaceAll(secret, '***');
  return clean;
}
