import test from 'ava';
import * as v from 'valibot';
import hello from '../../examples/hello-actors.ts';
import { createSystem, defineJob, isJob, type JobEvent } from '../../runtime/index.ts';

test('a job is recognised, and its name is checked', (t) => {
  const declaration = { description: '', options: v.object({}), modules: [], run: async () => {} };
  t.true(isJob(defineJob({ name: 'my-job', ...declaration })));
  t.false(isJob(declaration));
  t.throws(() => defineJob({ name: 'My Job', ...declaration }), { instanceOf: TypeError });
});

test('the hello example greets in order, over actors of this process', async (t) => {
  const system = await createSystem({ bus: 'memory' });
  const events: JobEvent[] = [];
  await hello.run({
    system,
    options: v.parse(hello.options, { names: ['Ada', 'Grace'] }),
    runDirectory: '',
    resumed: false,
    signal: new AbortController().signal,
    emit: (event) => events.push(event),
    now: () => 0,
  });
  await system.close();
  const greeted = events.filter(({ type }) => type === 'greeted').map(({ name }) => name);
  t.deepEqual(greeted, ['Ada', 'Grace']);
  t.regex(String(events[0]?.text), /^Ada heard: Hello, Ada/);
});
