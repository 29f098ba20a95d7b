import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { DeathCause } from '../../errors.ts';
import { cacheFolder } from '../../file-cache.ts';
import { type Clock, delay } from '../clock.ts';
import { type BusAccess, encodeLeaseTick, type ProcessBoot } from './process-boot.ts';

const OUTPUT_LINES_MAX = 20;
const LINE_CHARACTERS_MAX = 500;
/** After the exit the last output may still be in the pipes; a grandchild may hold them open. */
const OUTPUT_GRACE_MS = 1_000;
const PAGE_BYTES = 4096;

/** A process that waits for an actor or runs one, as its node sees it. */
export interface ActorProcess {
  readonly processId: string;
  readonly modules: readonly string[];
  /** Resolves with why the process ended. */
  readonly exited: Promise<DeathCause>;
  /** 0 if the process could not even be started. */
  readonly pid: number;
  readonly alive: boolean;
  /** Rejects when the process ends before it is ready. */
  readonly ready: Promise<void>;
  noteReady(): void;
  /** Its actor may act for so long from now; see `Lease`. */
  renewLease(remainingMs: number): void;
  /** @param niceness -20 to 19; raising a priority above normal needs rights that are often absent. */
  setNiceness(niceness: number): void;
  /** Ends the process at once; `exited` follows. */
  kill(): void;
  /** Tells the process that it is not needed; it ends by itself when it can. */
  dismiss(): void;
  /** Looks at the memory in use, to have a figure if the process is killed for it. */
  sampleMemory(): Promise<void>;
}

/** What makes a process: a child of this one, or in a simulation something that acts like it. */
export type StartProcess = (order: ProcessOrder) => ActorProcess;

export interface ProcessOrder {
  readonly boot: Omit<ProcessBoot, 'bus'>;
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Each line that the process writes. */
  onOutput(line: string): void;
}

export interface ActorChildOptions extends ProcessOrder {
  readonly access: BusAccess;
}

/**
 * A child process, which is told what it needs, credentials included, through its standard input,
 * whose end also tells it that we are gone.
 */
export class ActorChild implements ActorProcess {
  readonly processId: string;
  readonly modules: readonly string[];
  readonly exited: Promise<DeathCause>;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #ready = Promise.withResolvers<void>();
  readonly #lastOutput: string[] = [];
  #rssBytes: number | undefined;
  #alive = true;

  constructor({ access, boot, environment, clock, onOutput }: ActorChildOptions) {
    this.processId = boot.processId;
    this.modules = boot.modules;
    this.#process = spawn(process.execPath, commandLine(boot.nodeId), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...compileCache(), ...process.env, ...environment },
    });
    // A process that dies at once closes the pipe that we write into; its exit tells more.
    this.#process.stdin.on('error', () => {});
    this.#process.stdin.write(`${JSON.stringify({ bus: access, ...boot })}\n`);
    for (const pipe of [this.#process.stdout, this.#process.stderr]) {
      createInterface({ input: pipe }).on('line', (line) => {
        this.#keepLine(line);
        onOutput(line);
      });
    }
    this.exited = this.#watchExit(clock);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  noteReady(): void {
    this.#ready.resolve();
  }

  renewLease(remainingMs: number): void {
    // One of a process that doesn't read them is as good as any: none is to pile up.
    if (!this.#alive || this.#process.stdin.writableNeedDrain) return;
    this.#process.stdin.write(`${encodeLeaseTick(remainingMs)}\n`);
  }

  setNiceness(niceness: number): void {
    setPriority(this.pid, niceness);
  }

  kill(): void {
    if (this.#alive) this.#process.kill('SIGKILL');
  }

  dismiss(): void {
    this.#process.stdin.end();
  }

  async sampleMemory(): Promise<void> {
    if (process.platform !== 'linux' || !this.#alive) return;
    const text = await readFile(`/proc/${this.pid}/statm`, 'utf8').catch(() => '');
    const pages = Number(text.split(' ')[1]);
    if (pages > 0) this.#rssBytes = pages * PAGE_BYTES;
  }

  #keepLine(line: string): void {
    this.#lastOutput.push(line.slice(0, LINE_CHARACTERS_MAX));
    if (this.#lastOutput.length > OUTPUT_LINES_MAX) this.#lastOutput.shift();
  }

  async #watchExit(clock: Clock): Promise<DeathCause> {
    const closed = new Promise<void>((resolve) => this.#process.once('close', () => resolve()));
    const end = await new Promise<ProcessEnd>((resolve) => {
      this.#process.once('error', (error) => resolve({ error }));
      this.#process.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    });
    this.#alive = false;
    const enough = new AbortController();
    const grace = delay(clock, OUTPUT_GRACE_MS, enough.signal).catch(() => {});
    await Promise.race([closed, grace]);
    enough.abort();
    const cause = this.#describe(end);
    this.#ready.reject(new Error(`a new process for an actor ended at once: ${cause.message}`));
    this.#ready.promise.catch(() => {});
    return cause;
  }

  #describe({ error, exitCode, signal }: ProcessEnd): DeathCause {
    const lastOutput = [...this.#lastOutput];
    const memory = this.#rssBytes === undefined ? {} : { rssBytes: this.#rssBytes };
    if (error !== undefined) {
      return { kind: 'error', message: `no process: ${error.message}`, lastOutput };
    }
    if (typeof signal === 'string') {
      const megabytes = Math.round((this.#rssBytes ?? 0) / 1e6);
      const used = megabytes > 0 ? `; it used ${megabytes} MB when last looked at` : '';
      const message = `its process (pid ${this.pid}) was ended by ${signal}${used}`;
      return { kind: 'signal', signal, message, ...memory, lastOutput };
    }
    const said = lastOutput.findLast((line) => /error/i.test(line)) ?? lastOutput.at(-1);
    const message =
      `its process (pid ${this.pid}) exited with code ${exitCode}` +
      (said === undefined ? '' : ` after writing: ${said.trim()}`);
    return { kind: 'exit', exitCode: exitCode ?? 0, message, ...memory, lastOutput };
  }
}

interface ProcessEnd {
  readonly error?: Error;
  readonly exitCode?: number | null;
  readonly signal?: string | null;
}

/**
 * Node keeps compiled modules here, types stripped: a process then starts in less than half the time.
 * Not in the shared temporary folder: what lies in the cache is executed.
 */
function compileCache(): NodeJS.ProcessEnv {
  const folder = cacheFolder('compiled');
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder };
}

/** The node's id is for whoever wants to know whether all processes of a node have ended. */
function commandLine(nodeId: string): readonly string[] {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const entry = fileURLToPath(new URL(`actor-process.${extension}`, import.meta.url));
  if ('Deno' in globalThis) return ['run', '-A', '--quiet', entry, nodeId];
  // Node's notice about running TypeScript would be the last thing that a dying actor "said".
  return ['--disable-warning=ExperimentalWarning', entry, nodeId];
}
