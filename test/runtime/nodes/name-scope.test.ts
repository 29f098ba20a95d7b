import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { fullName } from '../../../runtime/nodes/name-scope.ts';
import { keeper } from '../../support/keeper-actor.ts';
import { counter } from '../../support/test-actors.ts';

test('a name is one of the scope, unless it says which one', (t) => {
  t.is(fullName(undefined, 'a'), 'a');
  t.is(fullName('job', 'a'), 'job/a');
  t.is(fullName('job', 'other/a'), 'other/a');
  t.is(fullName('job', '/a'), 'a');
});

test('actors of a scope, and their children, have it before their names', async (t) => {
  await using system = await createSystem({ bus: 'memory', scope: 'job' });
  const parent = await system.spawn(keeper, undefined, { name: 'keeper' });
  await parent.spawnChild('child');
  await system.spawn(counter, {});
  await system.spawn(counter, {}, { name: '/common' });
  const { owned } = await system.inspectNode();
  t.deepEqual(owned.map(({ name }) => name).sort(), [
    'common',
    'job/child',
    'job/counter-1',
    'job/keeper',
  ]);
  t.is(await (await system.get(counter, 'child'))?.read(), 7);
  t.is(await (await system.get(counter, '/common'))?.read(), 0);
  t.is(await system.get(counter, 'common'), undefined);
  await t.throwsAsync(system.spawn(counter, {}, { name: 'a/b/c' }), { message: /SCOPE\/NAME/ });
});
