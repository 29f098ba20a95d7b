import { type ActorDefinition, defineActor } from '../../runtime/index.ts';

class Echo {
  echo(bytes: Uint8Array): Uint8Array {
    return bytes;
  }
}

/** The smallest actor there is: what a call to it costs is the runtime's. */
export const echo: ActorDefinition<undefined, Echo> = defineActor({
  type: 'bench/echo',
  module: import.meta.url,
  methods: { echo: 'call' },
  create: () => new Echo(),
});
