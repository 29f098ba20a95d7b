import test from 'ava';
import {
  createSimulation,
  type Handle,
  type Simulation,
  withCallOptions,
} from '../../../runtime/index.ts';
import { type Counter, counter } from '../../support/test-actors.ts';

const FAULTS = { loss: 0.15, duplication: 0.15, reordering: 0.2 };
const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const HOUR_MS = 3_600_000;

async function startLossyActor(
  seed: number,
): Promise<{ readonly simulation: Simulation; readonly actor: Handle<Counter> }> {
  const simulation = createSimulation({ seed });
  const host = await simulation.startHost({ name: 'a', actors: [counter] });
  const actor = await simulation.run(host.system.spawn(counter, {}));
  simulation.setFaults(FAULTS);
  return { simulation, actor: withCallOptions(actor, { timeoutMs: HOUR_MS }) };
}

for (const seed of SEEDS) {
  test(`calls run once and in order over a bus that loses, repeats and reorders, seed ${seed}`, async (t) => {
    const { simulation, actor } = await startLossyActor(seed);
    const texts = Array.from({ length: 100 }, (_, index) => `${index}`);
    await simulation.run(Promise.all(texts.map((text) => actor.note(text))));
    t.deepEqual(await simulation.run(actor.noted()), texts);
  });

  test(`a stream is complete over a bus that loses, repeats and reorders, seed ${seed}`, async (t) => {
    const { simulation, actor } = await startLossyActor(seed);
    const items: number[] = [];
    const reading = (async () => {
      for await (const item of actor.count(60)) items.push(item);
    })();
    await simulation.run(reading);
    t.deepEqual(
      items,
      Array.from({ length: 60 }, (_, index) => index),
    );
  });
}
