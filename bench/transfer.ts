import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startLocalHub } from '../runtime/index.ts';
import { startNatsServer } from '../test/support/nats-server.ts';
import { median } from './statistics.ts';

const SIZES_MB = [4, 64] as const;
const ROUNDS = 9;
const WARM_UP_ROUNDS = 2;
const PEER = fileURLToPath(new URL('peers/transfer-peer.ts', import.meta.url));

/**
 * Prints how fast one large value goes from process to process: a raw Unix socket beside chunks
 * over the local bus (whose bytes pass through the hub's process), raw NATS chunks beside ours.
 */
export async function benchTransfer(): Promise<void> {
  console.log(
    `One value from process to process; medians of ${ROUNDS} rounds. ` +
      `Node ${process.versions.node}, ${availableParallelism()} processors.`,
  );
  const directory = await mkdtemp(join(tmpdir(), 'codistill-bench-'));
  const hub = await startLocalHub();
  const server = await startNatsServer().catch((error: Error) => error);
  try {
    for (const megabytes of SIZES_MB) {
      const socketPath = join(directory, `raw-${megabytes}`);
      const byteLength = megabytes << 20;
      const order = { byteLength, rounds: ROUNDS, warmUpRounds: WARM_UP_ROUNDS };
      const raw = await measureTransfer('raw-socket', socketPath, order);
      print('raw Unix socket, in place', megabytes, raw, raw);
      print(
        'chunks, local bus',
        megabytes,
        await measureTransfer('local', hub.socketPath, order),
        raw,
      );
      if (server instanceof Error) continue;
      const rawNats = await measureTransfer('raw-nats', server.url, order);
      print('raw NATS chunks', megabytes, rawNats, rawNats);
      print(
        'chunks, NATS bus',
        megabytes,
        await measureTransfer('nats', server.url, order),
        rawNats,
      );
    }
    if (server instanceof Error) {
      console.log(`\n!!! NATS was NOT measured: no server could be started: ${server.message}`);
    }
  } finally {
    await hub.close();
    if (!(server instanceof Error)) await server.stop();
    await rm(directory, { recursive: true });
  }
}

export interface TransferOrder {
  readonly byteLength: number;
  readonly rounds: number;
  /** Before them, until the code is compiled. */
  readonly warmUpRounds: number;
}

/** Milliseconds of one transfer. */
export async function measureTransfer(
  lane: string,
  address: string,
  order: TransferOrder,
): Promise<number> {
  const sender = start(lane, 'send', address, order);
  try {
    await firstLine(sender);
    const receiver = start(lane, 'receive', address, order);
    try {
      return median(JSON.parse(await firstLine(receiver)) as number[]);
    } finally {
      await stop(receiver);
    }
  } finally {
    await stop(sender);
  }
}

function start(
  lane: string,
  role: string,
  address: string,
  { byteLength, rounds, warmUpRounds }: TransferOrder,
): ChildProcess {
  const sizes = [byteLength, rounds, warmUpRounds].map(String);
  return spawn(process.execPath, [PEER, lane, role, address, ...sizes], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`A benchmark's process ended early with ${code}.`);
  });
  const [bytes] = (await Promise.race([once(child.stdout!, 'data'), ended])) as [Buffer];
  ended.catch(() => undefined);
  return bytes.toString();
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.stdin!.end();
  await exited;
}

function print(name: string, megabytes: number, ms: number, floorMs: number): void {
  const rate = ((megabytes << 20) / 1e6 / (ms / 1000)).toFixed(0);
  const share = ((100 * floorMs) / ms).toFixed(0);
  console.log(
    `${name.padEnd(26)} ${String(megabytes).padStart(3)} MiB  ${ms.toFixed(1).padStart(7)} ms` +
      `  ${rate.padStart(6)} MB/s  ${share.padStart(4)} % of raw`,
  );
}
