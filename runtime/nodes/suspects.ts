import { type Clock, delay } from '../clock.ts';
import type { Register } from '../registry/register.ts';
import { LOOK_MS, lookAt, type Sighting } from './registration.ts';

/** By then a silent node is heard again, or somebody who wants its names looks for himself. */
const LOOKS_MAX = 15;
const SUSPECTS_MAX = 256;

export interface SuspectsOptions {
  readonly register: Register;
  readonly clock: Clock;
  isSilent(nodeId: string): boolean;
}

/**
 * Looks at the register's entries of nodes that have just gone silent, so that by the time they count as
 * lost most of their lease has been waited for.
 */
export class Suspects {
  readonly #options: SuspectsOptions;
  readonly #sightings = new Map<string, Sighting | undefined>();
  #closed = false;

  constructor(options: SuspectsOptions) {
    this.#options = options;
  }

  /** A node's heartbeat is overdue. */
  watch(nodeId: string): void {
    if (this.#sightings.has(nodeId) || this.#sightings.size >= SUSPECTS_MAX) return;
    this.#sightings.set(nodeId, undefined);
    this.#look(nodeId)
      .catch(() => {
        // Without the register nobody's names can be taken.
      })
      .finally(() => this.#sightings.delete(nodeId));
  }

  sightingOf(nodeId: string): Sighting | undefined {
    return this.#sightings.get(nodeId);
  }

  close(): void {
    this.#closed = true;
  }

  async #look(nodeId: string): Promise<void> {
    const { clock, isSilent } = this.#options;
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      const { record, sighting } = await lookAt(this.#options, nodeId, this.sightingOf(nodeId));
      // A node that has never beaten has no names.
      if (record === undefined || record.beat === 0 || record.fenced !== 'no') return;
      this.#sightings.set(nodeId, sighting);
      await delay(clock, LOOK_MS);
      if (this.#closed || !isSilent(nodeId)) return;
    }
  }
}
