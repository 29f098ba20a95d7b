import test from 'ava';
import * as v from 'valibot';
import hello from '../../examples/01-hello/hello.ts';
import pool from '../../examples/02-pool/pool.ts';
import streams from '../../examples/03-streams/streams.ts';
import {
  createSystem,
  defineJob,
  isJob,
  type Job,
  type JobEvent,
  systemClock,
} from '../../runtime/index.ts';

test('a job is recognised, and its name is checked', (t) => {
  const declaration = { description: '', options: v.object({}), modules: [], run: async () => {} };
  t.true(isJob(defineJob({ name: 'my-job', ...declaration })));
  t.false(isJob(declaration));
  t.throws(() => defineJob({ name: 'My Job', ...declaration }), { instanceOf: TypeError });
});

/** The events of an example, run with actors of this process. */
async function eventsOf(job: Job, options: object): Promise<readonly JobEvent[]> {
  await using system = await createSystem({ bus: 'memory' });
  const events: JobEvent[] = [];
  await job.run({
    system,
    options: v.parse(job.options, options),
    runDirectory: '',
    resumed: false,
    signal: new AbortController().signal,
    emit: (event) => events.push(event),
    clock: systemClock,
    now: () => 0,
  });
  return events;
}

test('the hello example greets in order', async (t) => {
  const events = await eventsOf(hello, { names: ['Ada', 'Grace'] });
  const greeted = events.filter(({ type }) => type === 'greeted').map(({ name }) => name);
  t.deepEqual(greeted, ['Ada', 'Grace']);
  t.regex(String(events[0]?.text), /^Ada heard: Hello, Ada/);
});

test('the pool example counts all primes', async (t) => {
  const events = await eventsOf(pool, { to: 1000 });
  t.deepEqual(events.at(-1), { type: 'sum', below: 1000, primes: 168 });
});

test('the streams example ends its sensor soon after it has enough', async (t) => {
  const events = await eventsOf(streams, { window: 2, enough: 3 });
  t.deepEqual(
    events.slice(0, 3).map(({ mean }) => mean),
    [0.0499, 0.1493, 0.2471],
  );
  t.true(Number(events.at(-1)?.measured) <= 40);
});
