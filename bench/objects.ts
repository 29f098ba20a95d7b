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
import { measureTransfer, type TransferOrder } from './transfer.ts';

const KB = 1 << 10;
const SIZES_KB = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144] as const;
/** Raw and ours take turns; the best turn of each counts, as others may want the processors. */
const TURNS = 5;
/** Memory is looked at where a value outweighs what else happens. */
const PEAK_BYTES_MIN = 4 << 20;
const OBJECTS = { memoryBytesMax: 600 << 20 };

interface GetOrder extends TransferOrder {
  /** The reader's host keeps a copy, so that only its first get brings the object there. */
  readonly copies: boolean;
}

/**
 * Prints how long a get takes of a value that another process put, of the same host and of another
 * one over NATS, beside a raw Unix socket and raw chunks with credit in the same run.
 * @param args sizes in KB; default 1 KB to 256 MB
 */
export async function benchObjects(args: readonly string[]): Promise<void> {
  const sizesKb = args.length > 0 ? args.map(Number) : SIZES_KB;
  console.log(
    `One get of one object by another process: medians of warm code, the best of ${TURNS} turns. ` +
      'Held: buffers of sender (its own value among them) / receiver at most, garbage collected ' +
      `before each look, in sizes of the value. Node ${process.versions.node}, ${availableParallelism()} processors.`,
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
  const head = ['bytes', 'raw socket', 'same host', 'of raw', 'held'];
  const table = new Table({
    style: { head: [], border: [] },
    head: [...head, 'raw chunks', 'over NATS', 'of raw', 'held'],
  });
  // Connections have their own buffers from then on.
  for (const reader of [near, distant]) {
    await measureGets(system, reader, { ...roundsOf(64), byteLength: 64 * KB, copies: true });
  }
  // Before anything has left copies in the far host's store, whose end would hide what a new one takes.
  const peaks = new Map<number, readonly [string, string]>();
  for (const bytes of sizesKb.map((sizeKb) => sizeKb * KB)) {
    if (bytes < PEAK_BYTES_MIN) continue;
    const onHost = await measurePeaks(system, near, bytes);
    peaks.set(bytes, [onHost, await measurePeaks(system, distant, bytes)]);
  }
  for (const sizeKb of sizesKb) {
    const order = { byteLength: sizeKb * KB, ...roundsOf(sizeKb) };
    const best = { socket: Infinity, host: Infinity, chunks: Infinity, nats: Infinity };
    for (let turn = 1; turn <= TURNS; turn += 1) {
      const path = join(folder, `raw-${sizeKb}-${turn}`);
      const measured = {
        socket: await measureTransfer('raw-socket', path, order),
        host: await measureGets(system, near, { ...order, copies: false }),
        chunks: await measureTransfer('raw-nats', server.url, order),
        nats: await measureGets(system, distant, { ...order, copies: true }),
      };
      for (const lane of ['socket', 'host', 'chunks', 'nats'] as const) {
        best[lane] = Math.min(best[lane], measured[lane]);
      }
    }
    const [heldOnHost = '', heldOverNats = ''] = peaks.get(order.byteLength) ?? [];
    const cells = [
      ...describe(best.socket, best.host),
      heldOnHost,
      ...describe(best.chunks, best.nats),
      heldOverNats,
    ];
    table.push([`${sizeKb.toLocaleString('en')} KB`, ...cells]);
  }
  console.log(table.toString());
  await rm(folder, { recursive: true, force: true });
}

/** Enough for the compiler, where a round takes less than it does. */
function roundsOf(sizeKb: number): Pick<TransferOrder, 'rounds' | 'warmUpRounds'> {
  if (sizeKb <= 64) return { rounds: 500, warmUpRounds: 500 };
  if (sizeKb <= 1_024) return { rounds: 50, warmUpRounds: 50 };
  return { rounds: 5, warmUpRounds: 2 };
}

/** Milliseconds of a get. */
async function measureGets(
  system: System,
  reader: Handle<ObjectReader>,
  { byteLength, rounds, warmUpRounds, copies }: GetOrder,
): Promise<number> {
  const value = new Uint8Array(byteLength).fill(7);
  const total = warmUpRounds + rounds;
  const times: number[] = [];
  if (copies && byteLength < PEAK_BYTES_MIN) {
    const refs = await Promise.all(Array.from({ length: total }, () => system.put(value)));
    times.push(...(await reader.time(refs, 1)));
    for (const ref of refs) ref.release();
  } else {
    const getsOfEach = copies ? 1 : total;
    for (let round = 0; round < total; round += getsOfEach) {
      using ref = await system.put(value);
      times.push(...(await reader.time([ref], getsOfEach)));
    }
  }
  return median(times.slice(warmUpRounds));
}

/** Buffers of sender and receiver at most, as multiples of the value. */
async function measurePeaks(
  system: System,
  reader: Handle<ObjectReader>,
  byteLength: number,
): Promise<string> {
  const value = new Uint8Array(byteLength).fill(7);
  let received = 0;
  // The value itself, which was there before, counts as well.
  const sent =
    byteLength +
    (await peakBufferBytes(async () => {
      using ref = await system.put(value);
      received = await reader.peak(ref);
    }));
  return [sent, received].map((bytes) => (bytes / byteLength).toFixed(2)).join(' / ');
}

function describe(rawMs: number, ms: number): readonly string[] {
  return [`${rawMs.toFixed(3)} ms`, `${ms.toFixed(3)} ms`, `${(ms / rawMs).toFixed(2)} ×`];
}
