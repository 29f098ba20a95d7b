import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects garbage until `done` says so; what is collected is told a turn later. */
export async function collectGarbageUntil(done: () => boolean): Promise<boolean> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let attempt = 0; attempt < 50 && !done(); attempt += 1) {
    collect();
    await nextTurn();
  }
  return done();
}

/**
 * Bytes of array buffers that were held, at most, while `work` ran, over those before it. Looks in
 * every turn of the loop; whatever seems to be more than ever before is counted again without garbage.
 */
export async function peakBufferBytes(work: () => Promise<unknown>): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const counted = (): number => process.memoryUsage().arrayBuffers;
  const held = (): number => {
    collect();
    return counted();
  };
  const look = (): void => {
    if (counted() > peak) peak = Math.max(peak, held());
  };
  // What ends with a turn of the loop is garbage only after it.
  for (let turn = 0; turn < 3; turn += 1) {
    held();
    await nextTurn();
  }
  const before = held();
  let peak = before;
  let running = true;
  const watch = async (): Promise<void> => {
    while (running) {
      look();
      await nextTurn();
    }
  };
  const watching = watch();
  try {
    await work();
    look();
  } finally {
    running = false;
    await watching;
  }
  return peak - before;
}
