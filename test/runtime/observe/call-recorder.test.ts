import test from 'ava';
import { type ActorCalls, createSystem } from '../../../runtime/index.ts';
import { counter } from '../../support/test-actors.ts';

for (const isolation of ['process', 'inline'] as const) {
  test(`an owner that asks for it hears when calls of an actor ran, ${isolation}`, async (t) => {
    const batches: ActorCalls[] = [];
    const before = performance.now();
    const system = await createSystem({ bus: 'local', onCalls: (calls) => batches.push(calls) });
    const actor = await system.spawn(counter, {}, { name: 'recorded', isolation });
    await actor.add(1);
    await actor.block(20);
    await t.throwsAsync(actor.fail('on purpose'));
    await system.close();
    const calls = batches.flatMap(({ calls }) => calls);
    t.deepEqual(
      calls.map(({ method, failed }) => [method, failed]),
      [
        ['add', false],
        ['block', false],
        ['fail', true],
      ],
    );
    t.like(batches[0], { actor: 'recorded', actorType: 'test/counter', epoch: 1, omitted: 0 });
    t.is(batches[0]!.node, system.nodeId);
    t.true(calls[1]!.durationMs >= 19);
    const starts = calls.map(({ startMs }) => startMs);
    t.deepEqual(
      starts,
      starts.toSorted((a, b) => a - b),
    );
    t.true(starts[0]! > before && starts[2]! < performance.now());
  });
}
