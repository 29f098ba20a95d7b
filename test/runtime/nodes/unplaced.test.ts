import test from 'ava';
import { createSimulation } from '../../../runtime/index.ts';
import { counter } from '../../support/test-actors.ts';

test('a detached actor whose node dies waits with its state for one that can take it', async (t) => {
  const simulation = createSimulation({ seed: 1 });
  const a = await simulation.startHost({ name: 'a', actors: [counter] });
  const options = { actors: [counter], labels: { disk: 'ssd' } };
  const b = await simulation.startHost({ name: 'b', ...options });
  await simulation.run(a.system.waitForNodes(2, { timeoutMs: 10_000 }));
  const placement = { requiredLabels: { disk: 'ssd' } };
  const wishes = { name: 'kept', lifetime: 'detached', placement, maxRestarts: 1 } as const;
  const kept = await simulation.run(a.system.spawn(counter, {}, wishes));
  await simulation.run(kept.addAndSave(3));
  b.crash();
  // Its supervisor lives, and has no such label.
  await simulation.runFor(120_000);
  const { owned } = await simulation.run(a.system.inspectNode());
  t.is(owned.find(({ name }) => name === 'kept')?.status, 'restarting');
  await simulation.run(b.start());
  t.is(await simulation.run(kept.read(), { withinMs: 10_000 }), 3);
});
