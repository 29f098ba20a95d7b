/** The far side of multi-node tests: a system of its own process, or the client for one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createSystem, type System, type SystemOptions } from '../../runtime/index.ts';
import { waitUntil } from './process-watch.ts';
import { counter } from './test-actors.ts';

export interface NodeProcess extends AsyncDisposable {
  readonly pid: number;
  readonly nodeId: string;
  /** The process's further lines, as they come. */
  nextLine(): Promise<unknown>;
  send(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  /** Asks it to close its system and waits for its end. */
  stop(): Promise<void>;
}

/** What the process does once its system stands. */
export type NodeRole = 'host' | 'owner' | 'detacher';

/**
 * Starts a process with a system. An `owner` also spawns a counter and prints where it lives; a
 * `detacher` spawns a detached one, which saves that it counted to 7.
 */
export async function startNodeProcess(
  options: SystemOptions,
  role: NodeRole = 'host',
  environment: Readonly<Record<string, string>> = {},
): Promise<NodeProcess> {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), 'run', role],
    { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...environment } },
  );
  child.stdin!.write(`${JSON.stringify(options)}\n`);
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<unknown> => {
    const { done, value } = await lines.next();
    if (done) throw new Error('the node process ended');
    return JSON.parse(value);
  };
  const exited = once(child, 'exit');
  const { nodeId } = (await nextLine()) as { nodeId: string };
  const stop = async (): Promise<void> => {
    child.stdin!.end();
    await exited;
  };
  return {
    pid: child.pid!,
    nodeId,
    nextLine,
    send: (signal) => void child.kill(signal),
    stop,
    async [Symbol.asyncDispose]() {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function run(role: NodeRole): Promise<void> {
  const lines = createInterface({ input: process.stdin });
  const [line] = (await once(lines, 'line')) as [string];
  const options = JSON.parse(line) as SystemOptions;
  const system = await createSystem(options);
  const print = (value: unknown): void => console.log(JSON.stringify(value));
  print({ nodeId: system.nodeId });
  if (role === 'owner') await own(system, options.bus === 'local' ? 1 : 2, print);
  if (role === 'detacher') await detach(system, print);
  system.onLeaveRequest((timeoutMs) => {
    const left = system.drain({ timeoutMs }).then(() => system.close());
    void left.finally(() => process.exit(0));
  });
  lines.once('close', () => void system.close().then(() => process.exit(0)));
}

async function detach(system: System, print: (value: unknown) => void): Promise<void> {
  const handle = await system.spawn(counter, {}, { name: 'kept', lifetime: 'detached' });
  await handle.addAndSave(7);
  print(await handle.describe());
}

async function own(system: System, nodes: number, print: (value: unknown) => void): Promise<void> {
  const known = await system.waitForNodes(nodes, { timeoutMs: 10_000 });
  const other = known.find(({ self }) => !self);
  const where = other ? { placement: { nodeId: other.nodeId } } : {};
  const handle = await system.spawn(counter, {}, { name: 'owned', ...where });
  const described = await handle.describe();
  // Where the actor is ours, the pool makes a process in place of the one that it took.
  const processes = other || childPids().length === 0 ? 0 : 2;
  await waitUntil(() => childPids().length >= processes, 'a warm process');
  print({ ...described, pids: childPids() });
}

/** Of this process; there is no portable way, so elsewhere than on Linux there are none. */
function childPids(): readonly number[] {
  const path = `/proc/self/task/${process.pid}/children`;
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return text.split(' ').filter(Boolean).map(Number);
}

if (process.argv[2] === 'run') await run(process.argv[3] as NodeRole);
