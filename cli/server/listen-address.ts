import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { UserInputError } from '../../errors.ts';
import { isLoopback } from '../../loopback.ts';

const REACH_MS = 3_000;

/** Stands for all addresses of the machine. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** @throws UserInputError when anybody in reach could listen in or take part. */
export function assertSecured(options: {
  readonly host: string;
  /** Credentials are asked for and everything is encrypted. */
  readonly secured: boolean;
  /** The user has said so by a flag of his own. */
  readonly insecureAllowed: boolean;
}): void {
  const { host, secured, insecureAllowed } = options;
  if (secured || insecureAllowed || isLoopback(host)) return;
  throw new UserInputError(
    `Listening on ${host} without TLS would show passwords and data to everybody on the way. Leave out ` +
      '--no-tls; or, on a network that is encrypted by itself, add --insecure.',
  );
}

/** The addresses under which other machines may reach this one, without those of one link only. */
export function externalAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
}

/** This machine's address on the way to another one. Nothing is sent. */
export async function addressTowards(host: string): Promise<string> {
  const socket = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4');
  try {
    socket.connect(9, host);
    await once(socket, 'connect');
    return socket.address().address;
  } catch (cause) {
    const why = (cause as Error).message;
    throw new UserInputError(`${host} can't be reached from here: ${why}`, { cause });
  } finally {
    socket.close();
  }
}

/** Undefined where something listens at `host:port`. */
export async function whyUnreachable(address: string): Promise<string | undefined> {
  const { hostname, port } = new URL(`nats://${address}`);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({ host, port: Number(port) });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(REACH_MS) });
    return undefined;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    return code === 'ABORT_ERR' ? `nothing within ${REACH_MS / 1000} s` : message;
  } finally {
    socket.destroy();
  }
}

/** @throws UserInputError when the port is taken, or the address none of this machine's. */
export async function assertPortFree(host: string, port: number): Promise<void> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const known: Record<string, string> = {
      EADDRINUSE: `Port ${port} of ${host} is taken, perhaps by another nats-server. Choose others by --port.`,
      EADDRNOTAVAIL: `${host} is no address of this machine; it has ${externalAddresses().join(', ') || 'none'}.`,
      EACCES: `Port ${port} needs rights that you don't have; choose others by --port.`,
    };
    throw new UserInputError(known[code ?? ''] ?? `Can't listen on ${host}: ${message}`, { cause });
  } finally {
    server.close();
  }
}
