import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Lane } from './lanes.ts';

const SCRIPT = fileURLToPath(new URL('../peers/ray_calls.py', import.meta.url));

/** The interpreter that has Ray: `CODISTILL_PYTHON`, else `python3`. Undefined if it has none. */
export function findRay(): string | undefined {
  const python = process.env.CODISTILL_PYTHON ?? 'python3';
  const { status } = spawnSync(python, ['-c', 'import ray'], { stdio: 'ignore' });
  return status === 0 ? python : undefined;
}

/** The same round trips between actors of Ray, in a process that takes its orders line by line. */
export async function rayLane(python: string): Promise<Lane> {
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  const next = async (): Promise<string> => {
    for (;;) {
      const { done, value } = await lines.next();
      if (done) throw new Error("Ray's process ended");
      if (value.startsWith('@')) return value.slice(1);
    }
  };
  const version = await next();
  return {
    name: `Ray ${version}`,
    async rate({ width, pairs }, durationMs) {
      child.stdin.write(`${width} ${pairs} ${durationMs / 1000}\n`);
      return Number(await next());
    },
    async close() {
      child.stdin.end();
      await exited;
    },
  };
}
