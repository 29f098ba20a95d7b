import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import * as v from 'valibot';
import { UserInputError } from '../../errors.ts';
import type { NatsOptions, NatsTlsOptions } from '../../runtime/index.ts';

/** Options of a command that speaks to a nats-server. Secrets come in files or the environment. */
export interface NatsFlags {
  /** `nats://host:4222`, several with commas, or the connection file that `actorctl up` wrote. */
  readonly nats?: string;
  readonly natsCreds?: string;
  readonly natsNkey?: string;
  readonly natsUser?: string;
  readonly natsPasswordFile?: string;
  readonly natsTokenFile?: string;
  readonly natsCa?: string;
  readonly natsCert?: string;
  readonly natsKey?: string;
}

/** All that a client of a server needs, as one file. Holds a password: mode 600. */
export interface ConnectionFile {
  readonly servers: readonly string[];
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** The certificate of the authority that signed those of the servers. */
  readonly ca?: string | undefined;
  /** The name in the certificates of all servers, whatever their addresses. */
  readonly serverName?: string | undefined;
  /** Of a user who may not read the answers to others. */
  readonly inboxPrefix?: string | undefined;
}

const connectionFileSchema: v.GenericSchema<unknown, ConnectionFile> = v.strictObject({
  servers: v.pipe(v.array(v.string()), v.minLength(1)),
  user: v.optional(v.string()),
  password: v.optional(v.string()),
  ca: v.optional(v.string()),
  serverName: v.optional(v.string()),
  inboxPrefix: v.optional(v.string()),
});

const connectTimeoutMs = 5000;
const USER_SEED = /^SU[A-Z2-7]{56}$/;
const CREDS_JWT = /-{3,}BEGIN NATS USER JWT-{3,}\s+\S+\s+-{3,}END/;
const CREDS_SEED = /-{3,}BEGIN USER NKEY SEED-{3,}\s+SU[A-Z2-7]{56}\s+-{3,}END/;

type SecretName = 'password' | 'token';
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Adds the options of NatsFlags. The environment variables are those of the `nats` command; they say how to
 * connect, not whether: that is for `--nats` alone.
 */
export function addNatsOptions(
  command: Command,
  nats: { readonly text: string; readonly required?: boolean },
): Command {
  const address = '--nats <url|file>';
  if (nats.required) command.requiredOption(address, nats.text);
  else command.option(address, nats.text);
  const further: readonly (readonly [string, string, string])[] = [
    ['--nats-creds <file>', 'credentials for it: JWT and seed, as nsc writes them', 'NATS_CREDS'],
    ['--nats-nkey <file>', 'or the seed of an nkey', 'NATS_NKEY'],
    ['--nats-user <name>', 'or a user, with NATS_PASSWORD or the next', 'NATS_USER'],
    ['--nats-ca <file>', 'certificate authority of the server', 'NATS_CA'],
    ['--nats-cert <file>', "this client's certificate, where the server asks", 'NATS_CERT'],
    ['--nats-key <file>', 'and its key', 'NATS_KEY'],
  ];
  for (const [flags, text, variable] of further) {
    command.addOption(new Option(flags, text).env(variable));
  }
  return command
    .option('--nats-password-file <file>', 'the password; or in NATS_PASSWORD')
    .option('--nats-token-file <file>', 'or a token; or in NATS_TOKEN');
}

/** @throws UserInputError when an address isn't one, or a file can't be read. */
export function parseNatsFlags(
  flags: NatsFlags,
  environment: Environment = process.env,
): NatsOptions | undefined {
  if (flags.nats === undefined) return undefined;
  const file = isConnectionFile(flags.nats) ? readConnectionFile(flags.nats) : undefined;
  const servers = file?.servers ?? flags.nats.split(',');
  const password = readSecret('password', flags.natsPasswordFile, environment) ?? file?.password;
  const token = readSecret('token', flags.natsTokenFile, environment);
  const user = flags.natsUser ?? file?.user;
  const tls = readTls(flags, file);
  return {
    servers: servers.map((address) => parseServer(address).href),
    timeoutMs: connectTimeoutMs,
    name: 'actorctl',
    ...(flags.natsCreds !== undefined && { credsFile: checkCreds(flags.natsCreds) }),
    ...(flags.natsNkey !== undefined && { nkeySeed: readSeed(flags.natsNkey) }),
    ...(user !== undefined && { user }),
    ...(user !== undefined && password !== undefined && { password }),
    ...(token !== undefined && { token }),
    ...(tls && { tls }),
    ...(file?.inboxPrefix !== undefined && { inboxPrefix: file.inboxPrefix }),
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

function isConnectionFile(text: string): boolean {
  return text.endsWith('.json') && !text.includes('://');
}

function readConnectionFile(path: string): ConnectionFile {
  const text = readText('--nats', path);
  try {
    return v.parse(connectionFileSchema, JSON.parse(text));
  } catch {
    // What is wrong with it isn't quoted: it may hold a password.
    throw new UserInputError(
      `${path} is no connection file: expected JSON with servers, user, password and ca, as ` +
        'actorctl up writes it.',
    );
  }
}

function readTls(flags: NatsFlags, file: ConnectionFile | undefined): NatsTlsOptions | undefined {
  const { natsCa, natsCert, natsKey } = flags;
  if ((natsCert === undefined) !== (natsKey === undefined)) {
    throw new UserInputError('--nats-cert and --nats-key belong together; give both.');
  }
  const tls: NatsTlsOptions = {
    ...(file?.ca !== undefined && { ca: file.ca }),
    ...(file?.serverName !== undefined && { serverName: file.serverName }),
    ...(natsCa !== undefined && { caFile: resolve(natsCa) }),
    ...(natsCert !== undefined && { certFile: resolve(natsCert) }),
    ...(natsKey !== undefined && { keyFile: resolve(natsKey) }),
  };
  return Object.keys(tls).length > 0 ? tls : undefined;
}

function readSecret(
  name: SecretName,
  path: string | undefined,
  environment: Environment,
): string | undefined {
  if (path !== undefined) return readText(`--nats-${name}-file`, path);
  return environment[`NATS_${name.toUpperCase()}`] || undefined;
}

/** The file's path. What is wrong in it isn't quoted: it holds a secret. @throws UserInputError */
function checkCreds(path: string): string {
  const text = readText('--nats-creds', path);
  if (!CREDS_JWT.test(text) || !CREDS_SEED.test(text)) {
    throw new UserInputError(
      `--nats-creds: ${path} is no credentials file. Expected a user's JWT and seed, each between lines of ` +
        'dashes, as nsc writes them.',
    );
  }
  return resolve(path);
}

function readSeed(path: string): string {
  const text = readText('--nats-nkey', path);
  if (USER_SEED.test(text)) return text;
  throw new UserInputError(
    `--nats-nkey: ${path} has no seed of a user's nkey. Expected one line of 58 characters that begins with SU.`,
  );
}

/** Without the line's end that editors leave. */
function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new UserInputError(`${flag} can't be read: ${(cause as Error).message}`, { cause });
  }
}

function parseServer(text: string): URL {
  const address = text.trim();
  const url = URL.parse(address.includes('://') ? address : `nats://${address}`);
  if (url !== null && ['nats:', 'tls:'].includes(url.protocol) && url.hostname !== '') return url;
  // The address isn't repeated: it may hold a password.
  throw new UserInputError(
    '--nats wants an address such as nats://localhost:4222, tls://…, or a connection file (….json)',
  );
}
