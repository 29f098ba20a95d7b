import { type ActorContext, type ActorDefinition, defineActor } from '../../runtime/index.ts';

/** A number that a caller had entered, and in which life of the ledger. */
export interface Entry {
  readonly number: number;
  readonly epoch: number;
}

/** What each caller has had entered, in the order in which it was done. */
export type Entries = Readonly<Record<string, readonly Entry[]>>;

/** Enters what it is told; what it has confirmed is in its checkpoint. */
class Ledger {
  readonly #context: ActorContext;
  #entries: Record<string, Entry[]> = {};

  constructor(context: ActorContext) {
    this.#context = context;
  }

  /** Resolves when the entry is durable. */
  async enter(caller: string, number: number): Promise<number> {
    this.#note(caller, number);
    await this.#context.saveCheckpoint();
    return this.#context.epoch;
  }

  /** Once within one life; may be done again in the next. */
  async enterAgain(caller: string, number: number): Promise<number> {
    return await this.enter(caller, number);
  }

  entries(): Entries {
    return this.#entries;
  }

  checkpoint(): Entries {
    return this.#entries;
  }

  restore(entries: Record<string, Entry[]>): void {
    this.#entries = entries;
  }

  #note(caller: string, number: number): void {
    this.#entries[caller] ??= [];
    this.#entries[caller].push({ number, epoch: this.#context.epoch });
  }
}

export const ledger: ActorDefinition<undefined, Ledger> = defineActor({
  type: 'chaos/ledger',
  module: import.meta.url,
  methods: { enter: 'call', enterAgain: 'idempotent', entries: 'idempotent' },
  create: (context) => new Ledger(context),
});
