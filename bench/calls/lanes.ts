import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect } from '@nats-io/transport-node';
import { createSystem, type SystemOptions } from '../../runtime/index.ts';
import { driver, echo } from '../peers/echo-actor.ts';
import { drive } from './drive.ts';
import { connectRawSocket } from './raw-socket.ts';

/** How calls are made: so many in flight for each of so many callers, each with its own far side. */
export interface Shape {
  readonly width: number;
  readonly pairs: 1 | 4;
}

/** One way of asking for bytes and getting them back. */
export interface Lane {
  /** Round trips per second. */
  rate(shape: Shape, durationMs: number): Promise<number>;
  close(): Promise<void>;
}

type RoundTrip = (bytes: Uint8Array) => Promise<unknown>;

/** One caller is this process, four are drivers elsewhere. */
function createLane(
  roundTrip: RoundTrip,
  drivers: readonly ((width: number, durationMs: number) => Promise<number>)[],
  close: () => Promise<void>,
): Lane {
  return {
    async rate({ width, pairs }, durationMs) {
      const start = performance.now();
      const counts =
        pairs === 1
          ? [await drive(roundTrip, width, durationMs)]
          : await Promise.all(drivers.map((each) => each(width, durationMs)));
      const count = counts.reduce((sum, each) => sum + each, 0);
      return (count * 1000) / (performance.now() - start);
    },
    close,
  };
}

export async function functionLane(): Promise<Lane> {
  const call: RoundTrip = async (bytes) => bytes;
  const drivers = [1, 2, 3, 4].map(
    () => (width: number, durationMs: number) => drive(call, width, durationMs),
  );
  return createLane(call, drivers, async () => {});
}

export async function actorLane(bus: SystemOptions['bus']): Promise<Lane> {
  const system = await createSystem({ bus, namespace: 'bench' });
  const actors = await Promise.all([1, 2, 3, 4].map(() => system.spawn(echo, undefined)));
  const callers = await Promise.all([1, 2, 3, 4].map(() => system.spawn(driver, undefined)));
  const drivers = callers.map(
    (caller, index) => (width: number, durationMs: number) =>
      caller.drive(actors[index]!, width, durationMs),
  );
  const [first] = actors;
  return createLane(
    (bytes) => first!.echo(bytes),
    drivers,
    () => system.close(),
  );
}

export async function socketLane(): Promise<Lane> {
  const folder = await mkdtemp(join(tmpdir(), 'codistill-bench-'));
  const paths = [1, 2, 3, 4].map((index) => join(folder, `${index}`));
  const echoes = await Promise.all(paths.map((path) => startPeer('echo', 'socket', path)));
  const drivers = await Promise.all(paths.map((path) => startPeer('drive', 'socket', path)));
  const socket = await connectRawSocket(paths[0]!);
  const close = async (): Promise<void> => {
    socket.close();
    await Promise.all([...drivers, ...echoes].map((peer) => peer.close()));
    await rm(folder, { recursive: true });
  };
  const drives = drivers.map((peer) => peer.drive);
  return createLane((bytes) => socket.request(bytes), drives, close);
}

export async function natsLane(url: string): Promise<Lane> {
  const subjects = [1, 2, 3, 4].map((index) => `bench.echo.${index}`);
  const echoes = await Promise.all(subjects.map((name) => startPeer('echo', 'nats', url, name)));
  const drivers = await Promise.all(subjects.map((name) => startPeer('drive', 'nats', url, name)));
  const connection = await connect({ servers: url });
  const request: RoundTrip = (bytes) =>
    connection.request(subjects[0]!, bytes, { timeout: 30_000 });
  const close = async (): Promise<void> => {
    await connection.close();
    await Promise.all([...drivers, ...echoes].map((peer) => peer.close()));
  };
  const drives = drivers.map((peer) => peer.drive);
  return createLane(request, drives, close);
}

interface Peer {
  drive(width: number, durationMs: number): Promise<number>;
  close(): Promise<void>;
}

async function startPeer(...args: readonly string[]): Promise<Peer> {
  const entry = fileURLToPath(new URL('../peers/raw-peer.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [entry, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  await lines.next();
  return {
    async drive(width, durationMs) {
      child.stdin!.write(`${width} ${durationMs}\n`);
      return Number((await lines.next()).value);
    },
    async close() {
      child.stdin!.end();
      await exited;
    },
  };
}
