import type { AnyActorDefinition } from '../actor.ts';
import { type Clock, type ClockTimer, delay } from '../clock.ts';
import type { Membership } from './membership.ts';
import type { Names } from './names.ts';
import type { Supervisor } from './supervisor.ts';

/** After joining, until all other nodes must have shown themselves. */
const JOIN_MS = 6_000;
const AGAIN_MS = 5_000;
/** Orphans that nobody else took, because the ones that could have died too. */
const LOOK_MS = 60_000;

export interface AdoptionOptions {
  readonly clock: Clock;
  readonly names: Names;
  readonly supervisor: Supervisor;
  readonly membership: Membership;
  /** Only actors of these types can go on here. */
  readonly definitions: ReadonlyMap<string, AnyActorDefinition>;
  log(message: string): void;
}

/** Takes up detached actors whose supervisor is gone; of all nodes that try, one succeeds. */
export class Adoption {
  readonly #options: AdoptionOptions;
  readonly #ending = new AbortController();
  #timer: ClockTimer;
  #looking = false;
  /** What was found last is to be looked for again after a while. */
  #again = false;
  /** Somebody wants a look at once: ends the pause. */
  #asked: AbortController = new AbortController();

  constructor(options: AdoptionOptions) {
    this.#options = options;
    this.#timer = options.clock.setTimeout(() => this.look(), JOIN_MS);
  }

  /** Looks for orphans now: a node is gone. */
  look(): void {
    if (this.#ending.signal.aborted) return;
    this.#asked.abort();
    if (!this.#looking) void this.#lookAll();
  }

  close(): void {
    this.#ending.abort();
    this.#asked.abort();
    this.#timer.cancel();
  }

  async #lookAll(): Promise<void> {
    const { clock } = this.#options;
    this.#looking = true;
    this.#timer.cancel();
    do {
      this.#asked = new AbortController();
      this.#again = false;
      try {
        await this.#adoptAll();
      } catch (error) {
        this.#options.log(`looking for orphaned actors failed: ${(error as Error).message}`);
        this.#again = true;
      }
      const { signal } = this.#asked;
      if (this.#again) await delay(clock, AGAIN_MS, signal).catch(() => {});
    } while ((this.#again || this.#asked.signal.aborted) && !this.#ending.signal.aborted);
    this.#looking = false;
    if (this.#ending.signal.aborted) return;
    this.#timer = clock.setTimeout(() => this.look(), LOOK_MS);
  }

  async #adoptAll(): Promise<void> {
    const { names, supervisor, membership, definitions } = this.#options;
    const orphans = await names.orphans((nodeId) => membership.isAlive(nodeId));
    const adopting = orphans.map(async (orphan) => {
      const definition = definitions.get(orphan.record.address.type);
      if (definition === undefined) return;
      const former = await names.adopt(orphan);
      if (former.state === 'alive') this.#again = true;
      else if (!this.#ending.signal.aborted) supervisor.adopt(orphan, definition, former);
    });
    await Promise.all(adopting);
  }
}
