import { createSystem, defineActor } from '../../runtime/index.ts';

// Declares its actor below what waits for the declaration.
await using _system = await createSystem({
  bus: { nats: { servers: process.env.SCRIPT_BUS!, timeoutMs: 10_000 } },
  modules: [import.meta.url],
});

export const late = defineActor({
  type: 'late',
  module: import.meta.url,
  methods: {},
  create: (_context, _options: object) => ({}),
});
