import {
  type ActorDefinition,
  defineActor,
  defineJob,
  type Handle,
  type Job,
} from 'codistill/runtime';
import * as v from 'valibot';

/** Greets, and remembers whom. Lives in a process of its own. */
class Greeter {
  readonly #greeted: string[] = [];

  greet(name: string): string {
    this.#greeted.push(name);
    return `Hello, ${name}, from process ${process.pid}`;
  }

  async *greeted(): AsyncGenerator<string> {
    yield* this.#greeted;
  }
}

/** Calls the greeter, whose handle it gets as an option. */
interface Guest {
  enter(name: string): Promise<string>;
}

export const greeter: ActorDefinition<undefined, Greeter> = defineActor({
  type: 'hello/greeter',
  module: import.meta.url,
  methods: { greet: 'call', greeted: 'stream' },
  create: () => new Greeter(),
});

export const guest: ActorDefinition<{ greeter: Handle<Greeter> }, Guest> = defineActor({
  type: 'hello/guest',
  module: import.meta.url,
  methods: { enter: 'call' },
  create: (_context, { greeter }: { greeter: Handle<Greeter> }) => ({
    enter: async (name: string) => `${name} heard: ${await greeter.greet(name)}`,
  }),
});

const job: Job = defineJob({
  name: 'hello',
  description: 'Two actors, a call between them, and a stream.',
  options: v.object({ names: v.optional(v.array(v.string()), ['Ada', 'Grace']) }),
  modules: [import.meta.url],
  async run({ system, options, emit }) {
    const host = await system.spawn(greeter, undefined);
    const visitor = await system.spawn(guest, { greeter: host });
    for (const name of options.names) emit({ type: 'hello', text: await visitor.enter(name) });
    for await (const name of host.greeted()) emit({ type: 'greeted', name });
  },
});

export default job;
