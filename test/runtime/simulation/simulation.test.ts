import { createHash } from 'node:crypto';
import test from 'ava';
import { ActorDiedError, DeadlineError } from '../../../errors.ts';
import { createSimulation, type Simulation, withCallOptions } from '../../../runtime/index.ts';
import { counter } from '../../support/test-actors.ts';

const actors = [counter];

/** A stretch of calls over bad links, with a crash of an actor and of a host in it. */
async function eventfulRun(seed: number): Promise<readonly string[]> {
  const lines: string[] = [];
  const simulation = createSimulation({
    seed,
    faults: { loss: 0.1, duplication: 0.1, reordering: 0.1 },
    onTrace: (line) => lines.push(line),
  });
  const a = await simulation.startHost({ name: 'a', actors, skew: { rate: 1.01 } });
  const b = await simulation.startHost({ name: 'b', actors });
  await simulation.run(a.system.waitForNodes(2, { timeoutMs: 60_000 }));
  const near = await simulation.run(a.system.spawn(counter, {}));
  const far = await simulation.run(a.system.spawn(counter, {}, { placement: { nodeId: 'b' } }));
  simulation.after(500, () => a.crashActor());
  simulation.after(900, () => b.crash());
  for (let call = 0; call < 30; call += 1) {
    const calls = [near.addAndSave(1), near.read(), far.add(1)];
    await simulation.run(Promise.allSettled(calls));
  }
  await simulation.runFor(20_000);
  return lines;
}

test('the same seed brings the same events, byte for byte', async (t) => {
  const hash = async (seed: number): Promise<string> =>
    createHash('sha256')
      .update((await eventfulRun(seed)).join('\n'))
      .digest('hex');
  const first = await hash(3);
  t.is(await hash(3), first);
  t.not(await hash(4), first);
});

async function startTwo(simulation: Simulation) {
  const a = await simulation.startHost({ name: 'a', actors });
  const b = await simulation.startHost({ name: 'b', actors });
  await simulation.run(a.system.waitForNodes(2, { timeoutMs: 10_000 }));
  const far = await simulation.run(a.system.spawn(counter, {}, { placement: { nodeId: 'b' } }));
  return { a, b, far };
}

test('a crashed process is made again, a crashed host is noticed after five seconds', async (t) => {
  const simulation = createSimulation({ seed: 1 });
  const { a, b, far } = await startTwo(simulation);
  await simulation.run(far.addAndSave(7));
  t.true(b.crashActor('counter-1-a'));
  t.is(await simulation.run(far.read()), 7);
  const crashedAt = simulation.nowMs;
  b.crash(60_000);
  t.false(b.alive);
  await simulation.runUntil(() => a.system.nodes().length === 1);
  const silentMs = simulation.nowMs - crashedAt;
  t.true(silentMs > 4_000 && silentMs < 7_000, `noticed after ${silentMs} ms`);
  await t.throwsAsync(simulation.run(far.read()), { instanceOf: ActorDiedError });
  await simulation.run(b.start());
  await simulation.runUntil(() => a.system.nodes().length === 2);
  t.deepEqual(
    a.system.nodes().map(({ nodeId }) => nodeId),
    ['a', 'b-life2'],
  );
});

test('a one-way partition loses only the answers, until it heals', async (t) => {
  const simulation = createSimulation({ seed: 2 });
  const { a, b, far } = await startTwo(simulation);
  simulation.partition([b], [a], { oneWay: true });
  await t.throwsAsync(simulation.run(withCallOptions(far, { timeoutMs: 100 }).add(1)), {
    instanceOf: DeadlineError,
  });
  simulation.heal();
  t.is(await simulation.run(far.read()), 1);
});

test('a paused host answers when it goes on', async (t) => {
  const simulation = createSimulation({ seed: 3 });
  const { b, far } = await startTwo(simulation);
  b.pause();
  simulation.after(3_000, () => b.resume());
  const before = simulation.nowMs;
  t.is(await simulation.run(far.add(1)), 1);
  t.true(simulation.nowMs - before >= 3_000);
});

test('a host without network comes back with its actors', async (t) => {
  const simulation = createSimulation({ seed: 4 });
  const { b, far } = await startTwo(simulation);
  await simulation.run(far.add(1));
  b.disconnect();
  simulation.after(2_000, () => b.reconnect());
  t.is(await simulation.run(far.add(1)), 2);
});

test("a host's clock is as wrong as it was told to be", async (t) => {
  const simulation = createSimulation({ seed: 5 });
  const skew = { offsetMs: 1_000_000, rate: 2 };
  const host = await simulation.startHost({ name: 'a', actors, skew });
  const actor = await simulation.run(host.system.spawn(counter, {}));
  const before = simulation.nowMs;
  const silent = withCallOptions(actor, { timeoutMs: 1_000 }).wait();
  await t.throwsAsync(simulation.run(silent), { instanceOf: DeadlineError });
  const waitedMs = simulation.nowMs - before;
  t.true(waitedMs > 499 && waitedMs < 510, `${waitedMs} ms for a clock twice as fast`);
});

test('a run that waits for what never comes says so, with its seed', async (t) => {
  const simulation = createSimulation({ seed: 6 });
  await t.throwsAsync(simulation.run(new Promise(() => {})), {
    code: 'SIMULATION_STALLED',
    message: /seed 6/,
  });
  await simulation.startHost({ name: 'a' });
  const late = simulation.runUntil(() => false, { withinMs: 5_000 });
  await t.throwsAsync(late, { code: 'DEADLINE', message: /seed 6.*5000 ms/ });
  t.throws(() => createSimulation({ seed: -1 }), { instanceOf: RangeError });
});

test('what a planned action throws ends the run', async (t) => {
  const simulation = createSimulation({ seed: 7 });
  simulation.after(10, () => {
    throw new Error('the plan failed');
  });
  await t.throwsAsync(simulation.runFor(20), { message: 'the plan failed' });
  t.is(simulation.nowMs, 10);
});
