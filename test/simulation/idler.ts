import { defineActor } from '../../runtime/index.ts';

export class Idler {
  answer(): number {
    return 42;
  }
}

/** Does nothing but be there, and say so. */
export const idler = defineActor({
  type: 'simulation/idler',
  module: import.meta.url,
  methods: { answer: 'idempotent' },
  create: () => new Idler(),
});
