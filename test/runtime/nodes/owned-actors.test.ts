import test from 'ava';
import { OwnedActor } from '../../../runtime/nodes/owned-actor.ts';
import { OwnedActors } from '../../../runtime/nodes/owned-actors.ts';
import { planSpawn, type SpawnOptions } from '../../../runtime/nodes/spawn-options.ts';
import { counter } from '../../support/test-actors.ts';

function makeActor(name: string, options: SpawnOptions = {}): OwnedActor {
  const address = { name, type: counter.type, owner: 'here', methods: {} };
  return new OwnedActor(counter as never, planSpawn(options, name, 'inline'), address, {}, true);
}

function die(actors: OwnedActors, actor: OwnedActor): void {
  actor.enter('dead');
  actors.noteDead(actor);
}

test('an actor of the name of a dead one goes on with its numbers', (t) => {
  const actors = new OwnedActors();
  const first = makeActor('a');
  actors.add(first);
  die(actors, first);
  const second = makeActor('a');
  actors.add(second);
  t.is(second.epoch, 2);
  t.true(second.state.version > first.state.version);
  t.is(actors.get('a'), second);
  t.deepEqual(actors.living, [second]);
});

test('of many dead actors the last are remembered, and no number comes twice', (t) => {
  const actors = new OwnedActors();
  const survivor = makeActor('survivor');
  actors.add(survivor);
  for (let life = 0; life < 3; life++) {
    const actor = makeActor('first');
    actors.add(actor);
    die(actors, actor);
  }
  for (let index = 0; index < 4096; index++) {
    const actor = makeActor(`later-${index}`);
    actors.add(actor);
    die(actors, actor);
  }
  t.is(actors.get('first'), undefined);
  t.is(actors.all.length, 4097);
  t.is(actors.get('survivor'), survivor);
  const again = makeActor('first');
  actors.add(again);
  t.true(again.epoch > 3, `${again.epoch}`);
  t.is(actors.ofIncarnation(again.incarnation), again);
});

test('an actor with the labels is one that has them all, lives there and is another', (t) => {
  const actors = new OwnedActors();
  const labels = { role: 'replica', toString: 'x' };
  const [first, second] = [makeActor('first', { labels }), makeActor('second')];
  for (const actor of [first, second]) {
    actors.add(actor);
    actor.beginLife('n1', 'secret');
  }
  t.true(actors.isLabelledOn('n1', { role: 'replica' }, second));
  t.true(actors.isLabelledOn('n1', {}, second));
  t.false(actors.isLabelledOn('n1', { role: 'replica', zone: 'a' }, second));
  t.false(actors.isLabelledOn('n2', { role: 'replica' }, second));
  t.false(actors.isLabelledOn('n1', { role: 'replica' }, first));
  die(actors, first);
  t.false(actors.isLabelledOn('n1', { role: 'replica' }, second));
});
