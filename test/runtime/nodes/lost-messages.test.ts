import test from 'ava';
import { ActorDiedError } from '../../../errors.ts';
import { requestControl } from '../../../runtime/calls/control.ts';
import { encodeCarrying } from '../../../runtime/calls/endpoint.ts';
import { type ActorContext, createSimulation, defineActor } from '../../../runtime/index.ts';
import { incarnationOf, subjects } from '../../../runtime/wire/address.ts';
import { encodeMessage } from '../../../runtime/wire/wire.ts';
import { counter } from '../../support/test-actors.ts';

const actors = [counter];

// Seed 25 of the scenarios: the announcement was lost, and nobody asked again.
test('a call that waits for a restart is answered though the announcement is lost', async (t) => {
  const simulation = createSimulation({ seed: 1 });
  const a = await simulation.startHost({ name: 'a', actors });
  const b = await simulation.startHost({ name: 'b', actors });
  const called = await simulation.run(a.system.spawn(counter, {}, { name: 'called' }));
  const caller = await simulation.run(b.system.spawn(counter, {}));
  await simulation.run(caller.callOther(called, 1));
  a.crashActor('called');
  // Long enough for b to hear of the death, too short for the next life.
  await simulation.runFor(30);
  simulation.partition([a], [b], { oneWay: true });
  simulation.after(600, () => simulation.heal());
  const answered = simulation.run(caller.callOther(called, 5), { withinMs: 10_000 });
  t.is(await answered, 1005);
});

// Seed 2540 of the scenarios: the late copy overwrote the later checkpoint.
test('a copy of a checkpoint that comes late does not replace a later one', async (t) => {
  // With this seed a copy of the ninth comes after the tenth.
  const simulation = createSimulation({ seed: 7 });
  const a = await simulation.startHost({ name: 'a', actors });
  const actor = await simulation.run(a.system.spawn(counter, {}, { name: 'saver' }));
  simulation.setFaults({ duplication: 0.5, reordering: 0.5, delayMs: 5 });
  for (let saved = 1; saved <= 10; saved += 1) await simulation.run(actor.addAndSave(1));
  simulation.setFaults({});
  await simulation.runFor(1_000);
  a.crashActor('saver');
  t.is(await simulation.run(actor.read()), 10);
});

// Seed 60 of the scenarios: the actor answered that "the caller gave up".
test('a call that runs when its actor is stopped fails with that cause', async (t) => {
  const simulation = createSimulation({ seed: 1 });
  const a = await simulation.startHost({ name: 'a', actors });
  const actor = await simulation.run(a.system.spawn(counter, {}));
  const waiting = t.throwsAsync(actor.wait(), { instanceOf: ActorDiedError, message: /stopped/ });
  await simulation.runFor(100);
  await simulation.run(a.system.stop(actor));
  await simulation.run(waiting);
});

// Seeds 185 and 227 of the scenarios: a new lease for its node let it act, and streams asked for none.
test('an actor that was replaced while its host was paused begins nothing any more', async (t) => {
  const begun: string[] = [];
  const note = (context: ActorContext, what: string): string => {
    begun.push(`${what} in life ${context.epoch}`);
    return what;
  };
  const noting = defineActor({
    type: 'test/noting',
    module: import.meta.url,
    methods: { call: 'call', stream: 'stream' },
    create: (context: ActorContext) => ({
      call: () => note(context, 'call'),
      async *stream() {
        yield note(context, 'stream');
      },
    }),
  });
  const simulation = createSimulation({ seed: 1 });
  const a = await simulation.startHost({ name: 'a', actors: [noting] });
  const b = await simulation.startHost({ name: 'b', actors: [noting] });
  await simulation.run(a.system.waitForNodes(2, { timeoutMs: 10_000 }));
  const placement = { strategy: 'spread' } as const;
  await simulation.run(a.system.spawn(noting, undefined, { placement }));
  const actor = await simulation.run(a.system.spawn(noting, undefined, { placement }));
  await simulation.run(actor.call());
  b.pause();
  const calls = Promise.allSettled([actor.call(), actor.stream()[Symbol.asyncIterator]().next()]);
  const outcomes = await simulation.run(calls);
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await simulation.run(actor.call());
  b.resume();
  await simulation.runFor(30_000);
  t.deepEqual(begun, ['call in life 1', 'call in life 2']);
});

// Seed 10054 of the scenarios: the word that it had started was lost, and it was started again.
test('a life that is over does not begin again though its start is repeated', async (t) => {
  const simulation = createSimulation({ seed: 1 });
  const a = await simulation.startHost({ name: 'a', actors });
  await simulation.startHost({ name: 'b', actors });
  const { endpoint } = a;
  const subject = subjects.node(endpoint.namespace, 'b');
  const order = {
    kind: 'start',
    owner: 'a',
    name: 'again',
    type: counter.type,
    epoch: 1,
    isolation: 'inline',
    mailboxMessagesMax: 8,
    resources: {},
    maxConcurrency: 1,
    lessor: 'a',
    value: { options: {} },
  } as const;
  const timeoutMs = 5_000;
  const start = (secret: string) => {
    const parcel = encodeCarrying(endpoint.bus, { ...order, secret }, timeoutMs);
    return simulation.run(requestControl(endpoint, subject, 'started', parcel, { timeoutMs }));
  };
  await start('first');
  await start('first');
  const incarnation = incarnationOf('a', 'again', 1);
  const bytes = encodeMessage({ kind: 'kill', incarnation });
  await simulation.run(requestControl(endpoint, subject, 'done', { bytes }, { timeoutMs }));
  await simulation.runFor(100);
  await t.throwsAsync(start('first'), { code: 'NO_RESPONDER', message: /life 1 .* is over/ });
  // Another process may have taken the owner's id, and counts from 1.
  await start('second');
});
