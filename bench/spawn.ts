import { availableParallelism, cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { createSystem, type SpawnOptions, type System } from '../runtime/index.ts';
import { echo } from './peers/echo-actor.ts';
import { median, timeMs } from './statistics.ts';

const ROUNDS = 11;
const INLINE_ACTORS = 2_000;
/** Until the pool has a process ready again, also on a busy machine. */
const REFILL_MS = 4_000;

/** Prints how long it takes until an actor has answered its first call: warm, cold and inline. */
export async function benchSpawn(): Promise<void> {
  console.log(
    `From spawn to the first answer, local bus. Node ${process.versions.node}, ` +
      `${availableParallelism()} processors (${cpus()[0]?.model}).`,
  );
  await using system = await createSystem({ bus: 'local', warmProcesses: 1 });
  // The first needs the pool to begin.
  await spawnOne(system, {});
  const warm: number[] = [];
  const cold: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await delay(REFILL_MS);
    warm.push(await timeMs(() => spawnOne(system, {})));
    // An environment of its own can't be given to a process that runs already.
    cold.push(await timeMs(() => spawnOne(system, { environment: { BENCH_ROUND: `${round}` } })));
  }
  print('process from the warm pool', warm);
  print('process from cold', cold);
  for (const bus of ['memory', 'local'] as const) {
    await using inline = await createSystem({ bus });
    const ms = await timeMs(async () => {
      for (let count = 0; count < INLINE_ACTORS; count += 1) {
        await inline.spawn(echo, undefined, { isolation: 'inline' });
      }
    });
    const rate = Math.round((INLINE_ACTORS * 1000) / ms).toLocaleString('en');
    console.log(`inline, ${bus.padEnd(18)} ${rate.padStart(8)} actors/s, one after the other`);
  }
}

async function spawnOne(system: System, options: SpawnOptions): Promise<void> {
  const actor = await system.spawn(echo, undefined, options);
  await actor.echo(new Uint8Array(1));
  // Its end is not part of the measure, and nobody waits for it.
  void system.stop(actor);
}

function print(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const worst = sorted.at(-1)!.toFixed(1);
  console.log(
    `${what.padEnd(26)} ${median(times).toFixed(1).padStart(8)} ms median, ${worst} ms at worst`,
  );
}
