import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BusClosedError, BusUnavailableError } from '../../errors.ts';
import { systemClock } from '../clock.ts';
import type { Bus } from './bus.ts';
import { HubConnection } from './hub-connection.ts';
import { InProcessBus } from './in-process-bus.ts';
import { Router } from './router.ts';

/** A socket's path is kept in a field of 108 bytes on Linux, of 104 elsewhere; one ends it. */
const SOCKET_PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;

/** Of the folder that a hub makes for its socket; a random word follows. */
export const HUB_FOLDER_PREFIX = 'codistill-';

export interface LocalHubOptions {
  /** Absent: a socket in a new directory that only this user can enter. */
  readonly socketPath?: string;
  /** The largest message; the same for all connections. */
  readonly payloadBytesMax?: number;
  /** What one connection may leave unread before its further messages are dropped. */
  readonly pendingBytesMax?: number;
  readonly connectionsMax?: number;
  /**
   * Hears of connections that were refused or read too slowly; the default is a process warning.
   */
  readonly log?: (text: string) => void;
}

export interface LocalHub {
  readonly socketPath: string;
  /** A connection of this process, without a socket. */
  connect(): Bus;
  /** Ends all connections, in this process and in others. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts the meeting point of one host's processes: it listens on a Unix socket and hands each
 * message to its subscribers. Whoever can open the socket can send and hear everything.
 *
 * @throws BusUnavailableError when it can't listen there.
 */
export async function startLocalHub(options: LocalHubOptions = {}): Promise<LocalHub> {
  const limits = {
    payloadBytesMax: options.payloadBytesMax ?? 8 << 20,
    pendingBytesMax: options.pendingBytesMax ?? 64 << 20,
  };
  const log = options.log ?? ((text: string) => process.emitWarning(text, 'CodistillWarning'));
  const router = new Router();
  const sockets = new Set<HubConnection>();
  const inProcess = new Set<InProcessBus>();
  let connections = 0;

  const server = createServer((socket: Socket) => {
    connections += 1;
    const connection = new HubConnection(socket, { name: `c${connections}`, router, log, limits });
    sockets.add(connection);
    socket.once('close', () => sockets.delete(connection));
  });
  server.maxConnections = options.connectionsMax ?? 1024;
  server.on('drop', () => log(`The local hub refused a connection over ${server.maxConnections}.`));

  const directory = options.socketPath
    ? undefined
    : await mkdtemp(join(tmpdir(), HUB_FOLDER_PREFIX));
  const socketPath = options.socketPath ?? join(directory!, 'hub');
  try {
    await listen(server, socketPath);
  } catch (error) {
    if (directory) await rm(directory, { recursive: true, force: true });
    throw error;
  }
  // As when this process has no file descriptors left for another connection.
  server.on('error', ({ message }) => log(`The local hub can't accept a connection: ${message}`));

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const error = new BusClosedError(`The local hub at ${socketPath} was closed.`);
    const stopped = new Promise((resolve) => server.close(resolve));
    for (const connection of sockets) connection.end();
    for (const bus of inProcess) bus.shut(error);
    await stopped;
    if (directory) await rm(directory, { recursive: true, force: true });
  };
  return {
    socketPath,
    connect() {
      if (closing) throw new BusClosedError(`The local hub at ${socketPath} was closed.`);
      connections += 1;
      const bus = new InProcessBus({
        kind: 'local',
        clock: systemClock,
        router,
        name: `c${connections}`,
        ...limits,
      });
      inProcess.add(bus);
      bus.onStatus(({ type }) => void (type === 'closed' && inProcess.delete(bus)));
      return bus;
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

async function listen(server: Server, socketPath: string): Promise<void> {
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX) {
    throw new BusUnavailableError(
      `The local hub can't listen on ${socketPath}: a socket's path has at most ` +
        `${SOCKET_PATH_BYTES_MAX} bytes. Set TMPDIR to a shorter directory.`,
    );
  }
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void => {
      const text = `The local hub can't listen on ${socketPath}: ${cause.message}`;
      reject(new BusUnavailableError(text, { cause }));
    };
    server.once('error', fail);
    server.listen(socketPath, () => {
      server.off('error', fail);
      resolve();
    });
  });
}
