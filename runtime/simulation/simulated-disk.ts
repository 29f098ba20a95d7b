import type { Clock } from '../clock.ts';
import { delay } from '../clock.ts';
import type { CheckpointStore } from '../nodes/checkpoint-store.ts';
import type { Random } from './random.ts';
import type { Lifeline } from './virtual-time.ts';

const WRITE_MS = { least: 1, most: 20 } as const;

/** A host's checkpoints: they take time to write and outlive its crashes; a crash cuts off a write. */
export class SimulatedDisk {
  readonly #states = new Map<string, Uint8Array>();

  /** The last state that was written in full. */
  read(actor: string): Uint8Array | undefined {
    return this.#states.get(actor);
  }

  /** The store as one life of the host sees it. */
  open(clock: Clock, lifeline: Lifeline, random: Random): CheckpointStore {
    /** Saves of one actor follow each other. */
    const saving = new Map<string, Promise<void>>();
    const write = async (actor: string, bytes: Uint8Array): Promise<void> => {
      await delay(clock, random.between(WRITE_MS.least, WRITE_MS.most));
      if (!lifeline.ended) this.#states.set(actor, bytes.slice());
    };
    return {
      save: (actor, bytes) => {
        const saved = (saving.get(actor) ?? Promise.resolve()).then(() => write(actor, bytes));
        saving.set(actor, saved);
        return saved;
      },
      load: async (actor) => {
        await saving.get(actor);
        return this.#states.get(actor);
      },
    };
  }
}
