import { createSystem, defineActor } from '../../runtime/index.ts';

/** Prints what an actor of its own answers, on the bus `SCRIPT_BUS`: `local` or a server. */
export const doubler = defineActor({
  type: 'doubler',
  module: import.meta.url,
  methods: { double: 'call' },
  create: (_context, _options: object) => ({ double: (value: number) => 2 * value }),
});

const { SCRIPT_BUS: bus = 'local', SCRIPT_UNGUARDED } = process.env;
if (import.meta.main || SCRIPT_UNGUARDED) {
  await using system = await createSystem({
    bus: bus === 'local' ? bus : { nats: { servers: bus, timeoutMs: 10_000 } },
    modules: [import.meta.url],
    warmProcesses: 0,
  });
  await using actor = await system.spawn(doubler, {});
  console.log(`doubled: ${await actor.double(4)}`);
}
