import { UserInputError } from '../errors.ts';
import type { NatsOptions } from '../runtime/index.ts';

/** Options of a command that speaks to a nats-server. */
export interface NatsFlags {
  /** `nats://host:4222`, several with commas; user and password or a token may stand before an `@`. */
  readonly nats?: string;
  readonly natsCreds?: string;
}

const connectTimeoutMs = 5000;

/** @throws UserInputError when an address isn't one. */
export function parseNatsFlags(flags: NatsFlags): NatsOptions | undefined {
  if (flags.nats === undefined) return undefined;
  return {
    servers: flags.nats.split(',').map((address) => parseServer(address).href),
    timeoutMs: connectTimeoutMs,
    name: 'actorctl',
    ...(flags.natsCreds !== undefined && { credsFile: flags.natsCreds }),
  };
}

/** The addresses without credentials, for `run.json` and for people. */
export function describeServers({ servers }: NatsOptions): string {
  const addresses = typeof servers === 'string' ? servers.split(',') : servers;
  return addresses
    .map(parseServer)
    .map(({ protocol, host }) => `${protocol}//${host}`)
    .join(',');
}

function parseServer(text: string): URL {
  const address = text.trim();
  const url = URL.parse(address.includes('://') ? address : `nats://${address}`);
  if (url !== null && ['nats:', 'tls:'].includes(url.protocol) && url.hostname !== '') return url;
  // The address isn't repeated: it may hold a password.
  throw new UserInputError('--nats wants an address such as nats://localhost:4222, or tls://…');
}
