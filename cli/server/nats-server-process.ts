import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { BusUnavailableError } from '../../errors.ts';

const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 10_000;
const LOG_LINES_MAX = 200;
/** What an error quotes of the log. */
const LOG_LINES_SHOWN = 10;

export interface NatsServerProcess {
  readonly pid: number;
  /** Those that it listens on; `route` is -1 outside clusters. */
  readonly ports: { readonly client: number; readonly route: number };
  /** Resolves with a sentence when the process is gone, for whatever reason. */
  readonly ended: Promise<string>;
  /** The last lines that it wrote. */
  log(): string;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL if that takes too long. Idempotent. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/**
 * Runs a nats-server until it is stopped, this process exits, or it ends by itself.
 *
 * @throws BusUnavailableError with its last lines when it isn't ready in 15 s.
 */
export async function launchNatsServer(options: {
  readonly binary: string;
  readonly configFile: string;
  readonly clustered: boolean;
  /** A process group of its own: then a terminal's Ctrl-C doesn't reach it. Default false. */
  readonly detached?: boolean;
}): Promise<NatsServerProcess> {
  const { binary, configFile, clustered, detached = false } = options;
  const child = spawn(binary, ['-c', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached,
  });
  killAtExit(child);
  const lines: string[] = [];
  const ports = await readPorts(child, lines, clustered);
  const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : [];
  return {
    pid: child.pid!,
    ports,
    ended: Promise.resolve(gone).then(
      () => `nats-server ended with ${child.exitCode ?? child.signalCode}`,
    ),
    log: () => lines.join('\n'),
    signal: (signal) => void child.kill(signal),
    stop: () => end(child, 'SIGTERM'),
    kill: () => end(child, 'SIGKILL'),
  };
}

const children = new Set<ChildProcess>();

/** A process that ends early must not leave its servers behind. */
function killAtExit(child: ChildProcess): void {
  if (children.size === 0) process.once('exit', killChildren);
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    if (children.size === 0) process.off('exit', killChildren);
  });
}

function killChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** The server tells its ports, and then that it is ready, on standard error. */
async function readPorts(
  child: ChildProcess,
  lines: string[],
  clustered: boolean,
): Promise<NatsServerProcess['ports']> {
  let client = -1;
  let route = -1;
  let ready = false;
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      const last = lines.slice(-LOG_LINES_SHOWN).join('\n');
      reject(new BusUnavailableError(`nats-server ${what}. It wrote:\n${last}`));
    };
    const timer = setTimeout(
      () => fail(`was not ready in ${START_TIMEOUT_MS} ms`),
      START_TIMEOUT_MS,
    );
    child.once('error', (error) => fail(`did not start: ${error.message}`));
    // Not `exit`: what it wrote last says why.
    const ended = (code: number | null): void => fail(`ended with ${code} before it was ready`);
    child.once('close', ended);
    createInterface({ input: child.stderr! }).on('line', (line) => {
      lines.push(line);
      if (lines.length > LOG_LINES_MAX) lines.shift();
      client = Number(/for client connections on \S+:(\d+)/.exec(line)?.[1] ?? client);
      route = Number(/for route connections on \S+:(\d+)/.exec(line)?.[1] ?? route);
      ready ||= line.includes('Server is ready');
      if (!ready || client < 0 || (clustered && route < 0)) return;
      clearTimeout(timer);
      child.off('close', ended);
      resolve({ client, route });
    });
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  // A paused server hears SIGTERM only when it goes on.
  child.kill('SIGCONT');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}
