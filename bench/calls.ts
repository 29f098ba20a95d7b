import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { connect } from '@nats-io/transport-node';
import {
  createMemoryBus,
  createSystem,
  type SystemOptions,
  startLocalHub,
} from '../runtime/index.ts';
import { type NatsServer, startNatsServer } from '../test/support/nats-server.ts';
import { echo } from './peers/echo-actor.ts';

const PAYLOAD_BYTES = 128;
const ROUNDS = 5;
const ROUND_MS = 300;
const WARM_UP_MS = 500;
const SUBJECT = 'bench.echo';
const WIDTHS = [1, 64] as const;

/** One way of asking for bytes and getting them back. */
interface Lane {
  readonly name: string;
  roundTrip(bytes: Uint8Array): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * Prints actor calls per second beside the raw round trips of the same bus, one at a time and 64 in
 * flight. The lanes take turns, so that what else the machine does hits all of them.
 */
export async function benchCalls(): Promise<void> {
  console.log(
    `Round trips of ${PAYLOAD_BYTES} bytes per second; medians of ${ROUNDS} turns. ` +
      `Node ${process.versions.node}, ${availableParallelism()} processors.`,
  );
  await compare('function call', functionCall, () => actorLane('memory'));
  await compare('memory bus request', memoryRequest, () => actorLane('memory'));
  await compare('local bus request', localRequest, () => actorLane('local'));
  const server = await startNatsServer().catch((error: Error) => error);
  if (server instanceof Error) {
    console.log(`\n!!! NATS was NOT measured: no server could be started: ${server.message}`);
    return;
  }
  try {
    const nats = { servers: server.url, timeoutMs: 10_000 };
    await compare(
      'raw NATS request',
      () => natsRequest(server),
      () => actorLane({ nats }),
    );
  } finally {
    await server.stop();
  }
}

async function compare(
  name: string,
  openFloor: (name: string) => Promise<Lane>,
  openActor: () => Promise<Lane>,
): Promise<void> {
  const [floor, actor] = [await openFloor(name), await openActor()];
  try {
    for (const width of WIDTHS) {
      const rates = { floor: [] as number[], actor: [] as number[] };
      for (const lane of [floor, actor]) await measure(lane, width, WARM_UP_MS);
      for (let round = 0; round < ROUNDS; round += 1) {
        rates.floor.push(await measure(floor, width, ROUND_MS));
        rates.actor.push(await measure(actor, width, ROUND_MS));
      }
      const [raw, calls] = [median(rates.floor), median(rates.actor)];
      const share = `${((100 * calls) / raw).toFixed(0)} %`;
      console.log(
        `${name.padEnd(20)} ${format(raw)}   ${actor.name.padEnd(24)} ${format(calls)}` +
          `   ${share.padStart(6)}   ${width} in flight`,
      );
    }
  } finally {
    await Promise.all([floor.close(), actor.close()]);
  }
}

/** Round trips per second. */
async function measure(lane: Lane, width: number, durationMs: number): Promise<number> {
  const bytes = new Uint8Array(PAYLOAD_BYTES);
  const start = performance.now();
  let count = 0;
  const work = async (): Promise<void> => {
    while (performance.now() - start < durationMs) {
      await lane.roundTrip(bytes);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return (count * 1000) / (performance.now() - start);
}

async function actorLane(bus: SystemOptions['bus']): Promise<Lane> {
  const system = await createSystem({ bus, namespace: 'bench' });
  const actor = await system.spawn(echo, undefined);
  const kind = typeof bus === 'string' ? bus : 'NATS';
  return {
    name: `actor call, ${kind}`,
    roundTrip: (bytes) => actor.echo(bytes),
    close: () => system.close(),
  };
}

async function functionCall(name: string): Promise<Lane> {
  return { name, roundTrip: async (bytes) => bytes, close: async () => {} };
}

async function memoryRequest(name: string): Promise<Lane> {
  const bus = createMemoryBus();
  bus.subscribe(SUBJECT, ({ data, replySubject }) => bus.publish(replySubject!, data));
  return {
    name,
    roundTrip: (bytes) => bus.request(SUBJECT, bytes, { timeoutMs: 30_000 }),
    close: () => bus.close(),
  };
}

async function localRequest(name: string): Promise<Lane> {
  const hub = await startLocalHub();
  const stop = await startEcho('local', hub.socketPath);
  const bus = hub.connect();
  return {
    name,
    roundTrip: (bytes) => bus.request(SUBJECT, bytes, { timeoutMs: 30_000 }),
    close: async () => {
      await stop();
      await hub.close();
    },
  };
}

async function natsRequest(server: NatsServer): Promise<Lane> {
  const stop = await startEcho('nats', server.url);
  const connection = await connect({ servers: server.url });
  return {
    name: 'raw NATS request',
    roundTrip: (bytes) => connection.request(SUBJECT, bytes, { timeout: 30_000 }),
    close: async () => {
      await connection.close();
      await stop();
    },
  };
}

async function startEcho(kind: 'local' | 'nats', address: string): Promise<() => Promise<void>> {
  const entry = fileURLToPath(new URL('peers/echo-process.ts', import.meta.url));
  const child = spawn(process.execPath, [entry, kind, address, SUBJECT], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  return async () => {
    child.stdin.end();
    await exited;
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function format(rate: number): string {
  return Math.round(rate).toLocaleString('en').padStart(10);
}
