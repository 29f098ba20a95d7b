import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { JobEvent } from '../../runtime/index.ts';
import { exitCodes } from '../exit-codes.ts';
import { parseEvent } from '../observation/event-log.ts';
import { packageRoot, sourceExtension } from '../package-info.ts';
import type { PlannedRun } from './planned-runs.ts';

/** How the process of a run ended. */
export type RunOutcome =
  | { readonly kind: 'finished' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'failed'; readonly cause: string };

/** A run that says nothing for so long is stuck. */
const SILENCE_MS_MAX = 20 * 60_000;
/** A run that was asked to stop drains and checkpoints within 5 s; a loaded machine may take longer. */
const STOP_MS_MAX = 30_000;
const STDERR_CHARACTERS_MAX = 4000;

/**
 * Runs `actorctl run`, or `resume`, in a process group of its own: Ctrl-C in a terminal reaches a whole group, and
 * the run must hear it once. When `signal` aborts it is asked to drain. Never rejects.
 */
export async function startRun(
  run: PlannedRun,
  options: {
    readonly resumed: boolean;
    /** More arguments: which server, which namespace. */
    readonly args: readonly string[];
    readonly cwd: string;
    readonly signal: AbortSignal;
    readonly onEvent: (event: JobEvent) => void;
  },
): Promise<RunOutcome> {
  const { resumed, args, cwd, signal, onEvent } = options;
  const command = resumed
    ? ['resume', run.path]
    : ['run', run.job, '--run-dir', run.path, ...run.args];
  const script = fileURLToPath(new URL(`cli/actorctl${sourceExtension}`, packageRoot));
  let child: ReturnType<typeof spawnPiped>;
  try {
    child = spawnPiped([script, ...command, '--json', ...args], cwd);
    await once(child, 'spawn');
  } catch (error) {
    return { kind: 'failed', cause: `it could not be started: ${(error as Error).message}` };
  }
  using ending = new Ending(child);
  const stop = (): void => ending.begin('SIGINT');
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  // It is in no group of this process, so nobody else would end it.
  const end = (): boolean => child.kill('SIGKILL');
  process.once('exit', end);
  let error: string | undefined;
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARACTERS_MAX);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    ending.heard();
    const event = parseEvent(line);
    if (event?.type === 'error') error = String(event.message);
    if (event !== undefined) onEvent(event);
  });
  const [exitCode, exitSignal] = await once(child, 'close');
  signal.removeEventListener('abort', stop);
  process.off('exit', end);
  if (exitCode === exitCodes.ok) return { kind: 'finished' };
  if (signal.aborted) return { kind: 'interrupted' };
  const how = exitSignal === null ? `exit code ${exitCode}` : `ended by ${exitSignal}`;
  const said = error ?? (stderr.trim() || 'it said nothing');
  return { kind: 'failed', cause: ending.cause ?? `${said} (${how})` };
}

/** Throws, or emits its error, when there is no process for it. */
function spawnPiped(args: readonly string[], cwd: string) {
  return spawn(process.execPath, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Sees to it that a run ends: when it is asked to, and when it has fallen silent. */
class Ending implements Disposable {
  readonly #child: ChildProcess;
  #timer: NodeJS.Timeout | undefined;
  #begun = false;
  cause: string | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.heard();
  }

  heard(): void {
    if (!this.#begun) this.#after(SILENCE_MS_MAX, () => this.#giveUp());
  }

  begin(signal: NodeJS.Signals): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#child.kill(signal);
    this.#after(STOP_MS_MAX, () => this.#child.kill('SIGKILL'));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #giveUp(): void {
    this.cause = `it said nothing for ${SILENCE_MS_MAX / 60_000} minutes and was stopped`;
    this.begin('SIGTERM');
  }

  #after(ms: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, ms);
  }
}
