/**
 * The caller of one lane of the benchmark `calls`: `node lane-peer.ts LANE [ADDRESS]`. It reads `WIDTH PAIRS
 * SECONDS` from standard input and writes `@` and the round trips per second.
 */
import { createInterface } from 'node:readline';
import { actorLane, functionLane, type Lane, natsLane, socketLane } from '../calls/lanes.ts';

const [name = '', address = ''] = process.argv.slice(2);
const lanes: Readonly<Record<string, () => Promise<Lane>>> = {
  function: functionLane,
  socket: socketLane,
  nats: () => natsLane(address),
  'actors-memory': () => actorLane('memory'),
  'actors-local': () => actorLane('local'),
  'actors-nats': () => actorLane({ nats: { servers: address, timeoutMs: 10_000 } }),
};

const lane = await lanes[name]!();
console.log('@ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [width, pairs, seconds] = line.split(' ').map(Number) as [number, 1 | 4, number];
  console.log(`@${await lane.rate({ width, pairs }, seconds * 1000)}`);
}
await lane.close();
