import test from 'ava';
import {
  type ActorContext,
  type ActorDefinition,
  createSimulation,
  defineActor,
  type Handle,
} from '../../../runtime/index.ts';
import { type Counter, counter } from '../../support/test-actors.ts';

const PAUSE_MS = 100;

class Pusher {
  readonly #context: ActorContext;

  constructor(context: ActorContext) {
    this.#context = context;
  }

  /** Goes on and on; whoever called it has its answer long before. */
  push(other: Handle<Counter>): void {
    const again = (): void => {
      if (this.#context.signal.aborted) return;
      other.add(1).catch(() => {});
      this.#context.clock.setTimeout(again, PAUSE_MS);
    };
    again();
  }
}

const pusher: ActorDefinition<object, Pusher> = defineActor({
  type: 'test/pusher',
  module: import.meta.url,
  methods: { push: 'call' },
  create: (context) => new Pusher(context),
});

for (const isolation of ['inline', 'process'] as const) {
  test(`an actor that is cut off from its owner calls nobody, ${isolation}`, async (t) => {
    const simulation = createSimulation({ seed: 11 });
    const actors = [counter, pusher];
    const [owner, host, other] = [
      await simulation.startHost({ name: 'owner', actors }),
      await simulation.startHost({ name: 'host', actors }),
      await simulation.startHost({ name: 'other', actors }),
    ];
    await simulation.run(owner.system.waitForNodes(3, { timeoutMs: 10_000 }));
    const target = await simulation.run(other.system.spawn(counter, {}, { name: 'target' }));
    const placed = { placement: { nodeId: 'host' }, isolation, maxRestarts: 0 };
    const cutOff = await simulation.run(owner.system.spawn(pusher, {}, { ...placed, name: 'p' }));
    await simulation.run(cutOff.push(target));
    await simulation.runFor(2_000);
    const count = () => simulation.run(target.read());
    const before = await count();
    t.true(before > 5);
    simulation.partition([owner], [host]);
    await simulation.runFor(4_200);
    const lapsed = await count();
    t.true(lapsed > before, 'it acts as long as its lease holds');
    await simulation.runFor(3_000);
    t.is(await count(), lapsed);
  });
}
