import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { createSystem, type Handle, type System } from '../runtime/index.ts';
import { peakBufferBytes } from '../test/support/garbage.ts';
import { startNatsServer } from '../test/support/nats-server.ts';
import { startNodeProcess } from '../test/support/node-process.ts';
import { type ObjectReader, objectReader } from './peers/object-reader.ts';
import { median } from './statistics.ts';
import { measureTransfer } from './transfer.ts';

const KB = 1 << 10;
const SIZES_KB = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144] as const;
const WARM_UP_ROUNDS = 2;
/** Memory is looked at where a value outweighs what else happens. */
const PEAK_BYTES_MIN = 4 << 20;
const OBJECTS = { memoryBytesMax: 600 << 20 };

interface Figures {
  readonly ms: number;
  /** Buffers of sender and receiver at most, as multiples of the value. */
  readonly peaks: readonly [sender: number, receiver: number] | undefined;
}

interface GetOrder {
  readonly byteLength: number;
  readonly rounds: number;
  /** The reader's host keeps a copy, so that only its first get brings the object there. */
  readonly copies: boolean;
}

/**
 * Prints how long a get takes of a value that another process put, of the same host and of another
 * one over NATS, beside a raw Unix socket and raw chunks with credit in the same run.
 */
export async function benchObjects(): Promise<void> {
  console.log(
    'One get of one object by another process, medians; peak: buffers of sender / receiver, in ' +
      `sizes of the value. Node ${process.versions.node}, ${availableParallelism()} processors.`,
  );
  const folder = await mkdtemp(join(tmpdir(), 'codistill-bench-'));
  await using server = await startNatsServer();
  const bus = { nats: { servers: server.url, timeoutMs: 10_000 } };
  const common = { bus, objects: OBJECTS, modules: [objectReader.module] };
  await using system = await createSystem(common);
  // With another temporary folder it doesn't find our hub: to us it is on another host.
  await using far = await startNodeProcess(common, 'host', { TMPDIR: folder });
  await system.waitForNodes(2, { timeoutMs: 20_000 });
  const near = await system.spawn(objectReader, {}, { placement: { nodeId: system.nodeId } });
  const place = { placement: { nodeId: far.nodeId }, isolation: 'inline' } as const;
  const distant = await system.spawn(objectReader, {}, place);
  const head = ['bytes', 'raw socket', 'same host', 'of raw', 'peak'];
  const table = new Table({
    style: { head: [], border: [] },
    head: [...head, 'raw chunks', 'over NATS', 'of raw', 'peak'],
  });
  for (const sizeKb of SIZES_KB) {
    const order = { byteLength: sizeKb * KB, rounds: sizeKb <= 1_024 ? 100 : 9 };
    const socketPath = join(folder, `raw-${sizeKb}`);
    const rawSocket = await measureTransfer('raw-socket', socketPath, order);
    const host = await measureGets(system, near, { ...order, copies: false });
    const rawChunks = await measureTransfer('raw-nats', server.url, order);
    const nats = await measureGets(system, distant, { ...order, copies: true });
    const cells = [...describe(rawSocket, host), ...describe(rawChunks, nats)];
    table.push([`${sizeKb.toLocaleString('en')} KB`, ...cells]);
  }
  console.log(table.toString());
  await rm(folder, { recursive: true, force: true });
}

async function measureGets(
  system: System,
  reader: Handle<ObjectReader>,
  { byteLength, rounds, copies }: GetOrder,
): Promise<Figures> {
  const times: number[] = [];
  const value = new Uint8Array(byteLength).fill(7);
  const total = WARM_UP_ROUNDS + rounds;
  const getsEach = copies ? 1 : total;
  for (let round = 0; round < total; round += getsEach) {
    using ref = await system.put(value);
    times.push(...(await reader.time(ref, getsEach)));
  }
  times.splice(0, WARM_UP_ROUNDS);
  if (byteLength < PEAK_BYTES_MIN) return { ms: median(times), peaks: undefined };
  let received = 0;
  // The value itself, which was there before, counts as well.
  const sent =
    byteLength +
    (await peakBufferBytes(async () => {
      using ref = await system.put(value);
      received = await reader.peak(ref);
    }));
  return { ms: median(times), peaks: [sent / byteLength, received / byteLength] };
}

function describe(rawMs: number, { ms, peaks }: Figures): readonly string[] {
  const peak = peaks?.map((times) => times.toFixed(2)).join(' / ') ?? '';
  return [`${rawMs.toFixed(3)} ms`, `${ms.toFixed(3)} ms`, `${(ms / rawMs).toFixed(2)} ×`, peak];
}
