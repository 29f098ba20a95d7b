import test from 'ava';
import {
  createMemoryBus,
  createSystem,
  type Handle,
  withCallOptions,
} from '../../../runtime/index.ts';
import { createRandom, withFaults } from '../../support/lossy-bus.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { type Counter, counter } from '../../support/test-actors.ts';

const FAULTS = { loss: 0.15, duplication: 0.15, reordering: 0.2 };
const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const HOUR_MS = 3_600_000;

/** Turns the clock until `work` settles; its own deadline bounds that. */
async function run<Result>(clock: ManualClock, work: Promise<Result>): Promise<Result> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  work.then(note, note);
  while (!settled) await clock.advance(1_000);
  return work;
}

async function withLossyActor(
  seed: number,
  body: (actor: Handle<Counter>, clock: ManualClock) => Promise<void>,
): Promise<void> {
  const clock = createManualClock();
  const connected = withFaults(createMemoryBus(), createRandom(seed), FAULTS);
  const system = await createSystem({ bus: { connected }, clock });
  const actor = await system.spawn(counter, {});
  await body(withCallOptions(actor, { timeoutMs: HOUR_MS }), clock);
  const closing = system.close();
  await run(clock, closing);
}

for (const seed of SEEDS) {
  test(`calls run once and in order over a bus that loses, repeats and reorders, seed ${seed}`, async (t) => {
    await withLossyActor(seed, async (actor, clock) => {
      const texts = Array.from({ length: 100 }, (_, index) => `${index}`);
      await run(clock, Promise.all(texts.map((text) => actor.note(text))));
      t.deepEqual(await run(clock, actor.noted()), texts);
    });
  });

  test(`a stream is complete over a bus that loses, repeats and reorders, seed ${seed}`, async (t) => {
    await withLossyActor(seed, async (actor, clock) => {
      const items: number[] = [];
      const reading = (async () => {
        for await (const item of actor.count(60)) items.push(item);
      })();
      await run(clock, reading);
      t.deepEqual(
        items,
        Array.from({ length: 60 }, (_, index) => index),
      );
    });
  });
}
