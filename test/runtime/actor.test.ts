import test from 'ava';
import { defineActor, isActorDefinition } from '../../runtime/actor.ts';

const create = () => ({ run: () => 1 });
const module = import.meta.url;

test('a definition is recognised, whatever copy of the package made it', (t) => {
  const definition = defineActor({ type: 'a/b', module, methods: { run: 'call' }, create });
  t.true(isActorDefinition(definition));
  t.false(isActorDefinition({ type: 'a/b', module, methods: {}, create }));
  t.false(isActorDefinition(null));
});

test('a definition that could not work is refused where it is written', (t) => {
  const refuse = (changes: object, message: RegExp) =>
    t.throws(() => defineActor({ type: 'a/b', module, methods: {}, create, ...changes }), {
      instanceOf: TypeError,
      message,
    });
  refuse({ type: 'a b' }, /letters, digits/);
  refuse({ module: './here.ts' }, /must be a URL/);
  refuse({ methods: { run: 'sometimes' } }, /must be declared "call"/);
  refuse({ methods: { run: { kind: 'call', group: 'io' } } }, /group io: .*\(none\)/);
  refuse({ concurrencyGroups: { io: 0 } }, /limit from 1 to/);
  refuse({ methods: Object.fromEntries([['then', 'call']]) }, /awaitable/);
});
