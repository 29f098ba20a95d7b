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

/** Bytes of array buffers, at most, while `work` ran, over those before it. */
export async function peakBufferBytes(work: () => Promise<unknown>): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // What ends with a turn of the loop is garbage only after it.
  for (let turn = 0; turn < 3; turn += 1) {
    collect();
    await nextTurn();
  }
  const before = process.memoryUsage().arrayBuffers;
  let peak = before;
  let running = true;
  const watch = async (): Promise<void> => {
    while (running) {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers);
      await nextTurn();
    }
  };
  const watching = watch();
  try {
    await work();
    peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  } finally {
    running = false;
    await watching;
  }
  return peak - before;
}
