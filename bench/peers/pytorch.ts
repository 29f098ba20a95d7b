import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('pytorch_step.py', import.meta.url));
/** torch.compile builds C++ on its first run. */
const PREPARE_MS_MAX = 600_000;
const STEP_MS_MAX = 120_000;

export interface PytorchCase {
  readonly model: string;
  readonly sizes: Readonly<Record<string, number>>;
  readonly threads: number;
  readonly mode: 'eager' | 'compile';
  /** Measure the processor's time instead of the clock's. */
  readonly processorTime?: boolean;
}

export interface PytorchStep {
  readonly version: string;
  readonly prepareMs: number;
  /** Milliseconds that PyTorch measured for one step. */
  run(): Promise<number>;
  dispose(): Promise<void>;
}

/** The interpreter that has PyTorch: `CODISTILL_PYTHON`, else `python3`. Undefined if it has none. */
export function findPytorch(): string | undefined {
  const python = process.env.CODISTILL_PYTHON ?? 'python3';
  const { status } = spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' });
  return status === 0 ? python : undefined;
}

/** Starts a process that trains the same model with PyTorch, one step at a time, on demand. */
export async function startPytorch(python: string, which: PytorchCase): Promise<PytorchStep> {
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'pipe'] });
  const errors: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    errors.push(line);
    if (errors.length > 20) errors.shift();
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  const ask = async (line: string, timeoutMs: number): Promise<Record<string, unknown>> => {
    child.stdin.write(`${line}\n`);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const { done, value } = await lines.next().finally(() => clearTimeout(timer));
    if (done) throw new Error(`PyTorch's process ended (${which.model}): ${errors.join('\n')}`);
    return JSON.parse(value) as Record<string, unknown>;
  };
  const { version, prepareMs } = await ask(JSON.stringify(which), PREPARE_MS_MAX);
  return {
    version: String(version),
    prepareMs: Number(prepareMs),
    run: async () => Number((await ask('', STEP_MS_MAX)).ms),
    dispose: () => end(child, exited),
  };
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.stdin?.end();
  await exited;
}
