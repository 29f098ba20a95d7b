import { delay, type Handle, withCallOptions } from '../../runtime/index.ts';
import { weightsBytes } from '../exchange/weight-delta.ts';
import { type Patience, retry } from '../retry.ts';
import { codedBytes } from './gradient-coding.ts';
import type { Contribution, GradientReceiver, Update } from './gradient-receiver.ts';

/** The longest that the slowest worker's step may take, its compilation and restarts included. */
const CONTRIBUTION_TIMEOUT_MS = 600_000;
const PAUSE_MS = 100;
/** Of the 5 s in which Ctrl-C ends a run: an answer may still come. */
const LEAVE_MS = 2_000;

/** A worker's way to the parameter server of its replica. */
export class ServerLink {
  readonly #server: Handle<GradientReceiver>;
  readonly #worker: number;
  readonly #patience: Patience;
  readonly #end = new AbortController();
  #leaving = false;
  #bytes: number;

  constructor(options: {
    readonly server: Handle<GradientReceiver>;
    readonly worker: number;
    readonly patience: Patience;
    /** So far, from a checkpoint. */
    readonly bytes: number;
  }) {
    const { signal } = this.#end;
    this.#server = withCallOptions(options.server, {
      signal,
      timeoutMs: CONTRIBUTION_TIMEOUT_MS,
    });
    this.#worker = options.worker;
    this.#patience = options.patience;
    this.#bytes = options.bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async join(): Promise<Update> {
    return this.#taken(await this.#retry('join', () => this.#server.join(this.#worker)));
  }

  /** Undefined when this worker left before the update came about. */
  async contribute(share: Omit<Contribution, 'worker'>): Promise<Update | undefined> {
    const contribution = { ...share, worker: this.#worker };
    this.#bytes +=
      codedBytes(share.gradients) +
      weightsBytes(share.statistics) +
      weightsBytes(share.carried ?? {});
    try {
      for (;;) {
        if (this.#leaving) return undefined;
        const answer = await this.#retry('update', () => this.#server.contribute(contribution));
        if (answer.status === 'updated') return this.#taken(answer);
        await delay(this.#patience.clock, PAUSE_MS, this.#end.signal);
      }
    } catch (error) {
      if (this.#leaving) return undefined;
      throw error;
    }
  }

  /** Tells the others not to wait for this worker, and waits itself no longer than 2 s for an answer. */
  leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    const { clock } = this.#patience;
    const left = withCallOptions(this.#server, { timeoutMs: LEAVE_MS }).leave(this.#worker);
    // It matters only to a server that is there.
    left.catch(() => {});
    clock.setTimeout(() => this.#end.abort(), LEAVE_MS);
  }

  #taken(update: Update): Update {
    this.#bytes += weightsBytes(update.weights) + weightsBytes(update.carried ?? {});
    return update;
  }

  #retry<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    return retry(attempt, {
      ...this.#patience,
      what: `${what} with the parameter server`,
      signal: this.#end.signal,
    });
  }
}
