import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Shape } from './lanes.ts';

/** One way of asking for bytes and getting them back, measured in a process of its own. */
export interface LaneProcess {
  readonly name: string;
  /** Round trips per second. */
  rate(shape: Shape, durationMs: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * Starts the caller of a lane. Each has a process to itself, as it has in use: in one process the engine
 * compiles the code that lanes share for all of them, which slows each by a third.
 */
export async function startLane(name: string, ...args: readonly string[]): Promise<LaneProcess> {
  const entry = fileURLToPath(new URL('../peers/lane-peer.ts', import.meta.url));
  return { ...(await startProcess(process.execPath, [entry, ...args], 'inherit')), name };
}

/** The interpreter that has Ray: `CODISTILL_PYTHON`, else `python3`. Undefined if it has none. */
export function findRay(): string | undefined {
  const python = process.env.CODISTILL_PYTHON ?? 'python3';
  const { status } = spawnSync(python, ['-c', 'import ray'], { stdio: 'ignore' });
  return status === 0 ? python : undefined;
}

/** The same round trips between actors of Ray. */
export async function startRayLane(python: string): Promise<LaneProcess> {
  const script = fileURLToPath(new URL('../peers/ray_calls.py', import.meta.url));
  const { greeting, ...lane } = await startProcess(python, [script], 'ignore');
  return { ...lane, name: `Ray ${greeting}` };
}

/** A process that takes its orders line by line; its answers are the lines that begin with `@`. */
async function startProcess(
  command: string,
  args: readonly string[],
  errors: 'inherit' | 'ignore',
): Promise<Omit<LaneProcess, 'name'> & { readonly greeting: string }> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', errors] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  const next = async (): Promise<string> => {
    for (;;) {
      const { done, value } = await lines.next();
      if (done) throw new Error(`The process of a lane ended: ${command} ${args.join(' ')}`);
      if (value.startsWith('@')) return value.slice(1);
    }
  };
  return {
    greeting: await next(),
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
