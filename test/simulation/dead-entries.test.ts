import test from 'ava';
import { createSimulation } from '../../runtime/index.ts';
import type { NameRecord } from '../../runtime/nodes/name-record.ts';
import { connectRegister } from '../../runtime/registry/bus-register.ts';
import { idler } from './idler.ts';

const LIVES = 6;
const LIFE_MS = 20_000;
/** Silent for 5 s, then seen dead at two looks, a minute apart. */
const BOUND_MS = 150_000;

for (const seed of [1, 2, 3]) {
  test.serial(`hosts that crash again and again leave no entries (seed ${seed})`, async (t) => {
    const simulation = createSimulation({ seed });
    const start = (name: string) => simulation.startHost({ name, actors: [idler] });
    const [one, two, weak] = [await start('one'), await start('two'), await start('weak')];
    const entries = async (): Promise<readonly string[]> => {
      const listed = connectRegister(two.endpoint).list('nodes', { timeoutMs: 5_000 });
      return (await simulation.run(listed)).map(({ key }) => key.slice('nodes.'.length));
    };
    const kept = { name: 'kept', lifetime: 'detached' } as const;
    await simulation.run(weak.system.spawn(idler, undefined, kept));
    for (let life = 1; life <= LIVES; life += 1) {
      // It dies with its owner.
      await simulation.run(weak.system.spawn(idler, undefined, { name: `own-${life}` }));
      weak.crash();
      await simulation.run(weak.start());
      await simulation.runFor(LIFE_MS);
    }
    t.true((await entries()).length > 3, 'a dead host has an entry for a while');
    // The one that looks after entries dies as well.
    one.crash();
    await simulation.runFor(BOUND_MS);
    const names = await simulation.run(
      connectRegister(two.endpoint).list('names', { timeoutMs: 5_000 }),
    );
    t.deepEqual(
      names.map(({ key }) => key),
      ['names.kept'],
    );
    const { node, detached } = names[0]!.value as NameRecord;
    const living = [two, weak].map(({ system }) => system.nodeId);
    const expected = [...new Set([...living, node, detached!.nodeId])].sort();
    t.deepEqual([...(await entries())].sort(), expected);
    const found = await simulation.run(two.system.get(idler, 'kept'));
    t.is(await simulation.run(found!.answer()), 42);
  });
}
