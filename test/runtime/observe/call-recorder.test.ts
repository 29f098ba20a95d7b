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
    for await (const item of actor.count(100)) if (item === 2) break;
    await t.throwsAsync(async () => {
      for await (const _ of actor.failing(3));
    });
    await system.close();
    const calls = batches.flatMap(({ calls }) => calls);
    t.deepEqual(
      calls.slice(0, 3).map(({ method, failed, items }) => [method, failed, items]),
      [
        ['add', false, undefined],
        ['block', false, undefined],
        ['fail', true, undefined],
      ],
    );
    const [left, broken] = calls.slice(3);
    t.like(left, { method: 'count', failed: false });
    t.true(left!.items! >= 3 && left!.items! < 100, `${left!.items} items for 3 that were read`);
    t.like(broken, { method: 'failing', failed: true, items: 3 });
    t.like(batches[0], { actor: 'recorded', actorType: 'test/counter', epoch: 1, omitted: 0 });
    t.is(batches[0]!.node, system.nodeId);
    t.true(calls[1]!.durationMs >= 19);
    const starts = calls.map(({ startMs }) => startMs);
    t.deepEqual(
      starts,
      starts.toSorted((a, b) => a - b),
    );
    t.true(starts[0]! > before && starts[4]! < performance.now());
  });
}
