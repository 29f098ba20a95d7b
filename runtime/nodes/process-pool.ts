import { DeadlineError } from '../../errors.ts';
import { type Clock, type ClockTimer, delay, repeat } from '../clock.ts';
import type { ActorProcess, StartProcess } from './actor-child.ts';
import type { ProcessBoot } from './process-boot.ts';

const READY_TIMEOUT_MS = 30_000;
const SAMPLE_MS = 1_000;
/**
 * After one was taken. Making a process holds up this one for some milliseconds and takes a core for a
 * tenth of a second: not while an actor starts and gets its first calls.
 */
const REFILL_DELAY_MS = 100;

export interface ProcessPoolOptions {
  readonly boot: Pick<ProcessBoot, 'namespace' | 'nodeId'>;
  readonly clock: Clock;
  /** Processes kept ready, at most. */
  readonly idleMax: number;
  readonly startProcess: StartProcess;
  /** A word that nobody else uses, for the next process. */
  createProcessId(): string;
  /** A word that nobody can guess. */
  createSecret(): string;
  onOutput(processId: string, line: string): void;
  onExit(processId: string): void;
}

/** The child processes of one node: some with an actor, a few kept warm. */
export class ProcessPool {
  readonly #options: ProcessPoolOptions;
  readonly #modules = new Set<string>();
  readonly #children = new Map<string, ActorProcess>();
  readonly #secrets = new Map<string, string>();
  readonly #idle: ActorProcess[] = [];
  #sampling: ClockTimer | undefined;
  #refilling: ClockTimer | undefined;
  #closed = false;

  constructor(options: ProcessPoolOptions) {
    this.#options = options;
  }

  /** Processes from now on may import actors from `module`. */
  allow(module: string): void {
    this.#modules.add(module);
  }

  allows(module: string): boolean {
    return this.#modules.has(module);
  }

  /**
   * A process that is ready for an actor of `module`: a warm one, or a new one, which takes long.
   * @throws Error with the process's last words when it doesn't come up.
   */
  async take(
    module: string,
    environment: Readonly<Record<string, string>> | undefined,
  ): Promise<ActorProcess> {
    this.allow(module);
    const warm = environment === undefined ? this.#takeIdle(module) : undefined;
    const child = warm ?? this.#start(environment ?? {});
    await this.#untilReady(child);
    this.#refillSoon();
    return child;
  }

  /** Anybody on the bus can say this; the process itself has the secret. */
  noteReady(processId: string, secret: string): void {
    if (this.#secrets.get(processId) === secret) this.#children.get(processId)?.noteReady();
  }

  /** Kills what has not ended by itself after `graceMs`; resolves when all are gone. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.#sampling?.cancel();
    this.#refilling?.cancel();
    const children = [...this.#children.values()];
    for (const child of children) child.dismiss();
    const gone = Promise.all(children.map((child) => child.exited));
    const enough = new AbortController();
    const grace = delay(this.#options.clock, graceMs, enough.signal).then(
      () => {
        for (const child of children) child.kill();
      },
      () => {},
    );
    await gone;
    enough.abort();
    await grace;
  }

  #takeIdle(module: string): ActorProcess | undefined {
    const child = this.#idle.shift();
    if (child === undefined || (child.alive && child.modules.includes(module))) return child;
    // Started before this module was allowed: of no use to anybody any more.
    child.dismiss();
    return this.#takeIdle(module);
  }

  #refillSoon(): void {
    if (this.#closed) return;
    this.#refilling ??= this.#options.clock.setTimeout(() => {
      this.#refilling = undefined;
      this.#refill();
    }, REFILL_DELAY_MS);
  }

  #refill(): void {
    if (this.#closed || this.#idle.length >= this.#options.idleMax) return;
    const child = this.#start({});
    this.#idle.push(child);
    const forget = (): void => {
      const index = this.#idle.indexOf(child);
      if (index >= 0) this.#idle.splice(index, 1);
    };
    void child.exited.then(forget);
  }

  #start(environment: Readonly<Record<string, string>>): ActorProcess {
    const { boot, clock, createProcessId, startProcess, onOutput, onExit } = this.#options;
    const processId = createProcessId();
    const secret = this.#options.createSecret();
    const child = startProcess({
      boot: { ...boot, processId, secret, modules: [...this.#modules] },
      environment,
      clock,
      onOutput: (line) => onOutput(processId, line),
    });
    this.#children.set(processId, child);
    this.#secrets.set(processId, secret);
    void child.exited.then(() => {
      this.#children.delete(processId);
      this.#secrets.delete(processId);
      onExit(processId);
    });
    this.#sampling ??= repeat(clock, SAMPLE_MS, () => this.#sampleMemory());
    return child;
  }

  async #untilReady(child: ActorProcess): Promise<void> {
    const enough = new AbortController();
    const late = delay(this.#options.clock, READY_TIMEOUT_MS, enough.signal).then(() => {
      child.kill();
      throw new DeadlineError(`a new process was not ready within ${READY_TIMEOUT_MS} ms`);
    });
    late.catch(() => {});
    try {
      await Promise.race([child.ready, late]);
    } finally {
      enough.abort();
    }
  }

  #sampleMemory(): void {
    for (const child of this.#children.values()) void child.sampleMemory();
  }
}
