import { type ActorDefinition, defineActor, type Handle } from '../../runtime/index.ts';
import type { Ledger } from './ledger.ts';

/** Lives inline on each host and is handed actors, which the scenario then calls from there. */
export class Guest {
  readonly ledgers: Map<string, Handle<Ledger>>;

  constructor(ledgers: Map<string, Handle<Ledger>>) {
    this.ledgers = ledgers;
  }

  meet(name: string, ledger: Handle<Ledger>): void {
    this.ledgers.set(name, ledger);
  }
}

export function defineGuest(
  ledgers: Map<string, Handle<Ledger>>,
): ActorDefinition<undefined, Guest> {
  return defineActor({
    type: 'simulation/guest',
    module: import.meta.url,
    methods: { meet: 'idempotent' },
    create: () => new Guest(ledgers),
  });
}
