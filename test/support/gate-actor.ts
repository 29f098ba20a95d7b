import { type ActorDefinition, defineActor } from '../../runtime/index.ts';

/** Calls that stay until they are let go, in two groups and outside of any. */
export class Gate {
  readonly #began: string[] = [];
  readonly #held = new Map<string, () => void>();

  hold(name: string): Promise<string> {
    this.#began.push(name);
    return new Promise((resolve) => this.#held.set(name, () => resolve(name)));
  }

  holdPair(name: string): Promise<string> {
    return this.hold(name);
  }

  began(): readonly string[] {
    return this.#began;
  }

  release(name: string): boolean {
    this.#held.get(name)?.();
    return this.#held.delete(name);
  }
}

export const gate: ActorDefinition<undefined, Gate> = defineActor({
  type: 'test/gate',
  module: import.meta.url,
  concurrencyGroups: { pairs: 2, control: 1 },
  methods: {
    hold: 'call',
    holdPair: { kind: 'call', group: 'pairs' },
    began: { kind: 'idempotent', group: 'control' },
    release: { kind: 'call', group: 'control' },
  },
  create: () => new Gate(),
});
