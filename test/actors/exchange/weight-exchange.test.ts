import test from 'ava';
import {
  type TeacherSnapshot,
  teacherSnapshot,
} from '../../../actors/exchange/teacher-snapshot.ts';
import { DeltaEncoder, fullDelta, type Weights } from '../../../actors/exchange/weight-delta.ts';
import {
  WeightExchange,
  type WeightExchangeOptions,
} from '../../../actors/exchange/weight-exchange.ts';
import { createSystem, type Handle, type System, systemClock } from '../../../runtime/index.ts';

const shapes = { w: [1] };
const weightsOf = (value: number): Weights => ({ w: Float32Array.of(value) });
const interval = 10;

/** A student of `teachers` on snapshots that the test fills itself. */
async function openExchange(
  system: System,
  teachers: number,
  options: Partial<WeightExchangeOptions> = {},
) {
  const spawn = () =>
    system.spawn(
      teacherSnapshot,
      { replica: 'replica', shapes, versionsMax: 8 },
      { isolation: 'inline' },
    );
  const snapshots: Handle<TeacherSnapshot>[] = [];
  for (let index = 0; index < teachers; index++) snapshots.push(await spawn());
  const own = await spawn();
  const loaded: (readonly [number, number])[] = [];
  const stop = new AbortController();
  const exchange = new WeightExchange({
    mode: 'freshest',
    intervalSteps: interval,
    burnInSteps: 0,
    steps: 1000,
    stalenessStepsMax: null,
    carries: 'weights',
    beyondStaleness: 'skip',
    awaitsDelivery: false,
    snapshot: own,
    teachers: snapshots.map((snapshot) => ({ snapshot, steps: 100 })),
    encoder: new DeltaEncoder({ codec: 'f32', shapes }),
    load: (teacher, { w }) => loaded.push([teacher, w?.[0] as number]),
    patience: { clock: systemClock, patienceMs: 10_000 },
    signal: stop.signal,
    resumed: {
      exchangedAt: -1,
      teacherVersions: snapshots.map(() => -1),
      published: { count: 0, bytes: 0 },
    },
    ...options,
  });
  const publish = (teacher: number, version: number) =>
    (snapshots[teacher] as Handle<TeacherSnapshot>).apply(
      fullDelta({ version, weights: weightsOf(version) }),
    );
  return { exchange, own, publish, loaded, [Symbol.dispose]: () => stop.abort() };
}

/** Takes steps at one place until the teachers in use are those that are expected, or far too long has passed. */
async function stepUntil(
  exchange: WeightExchange,
  step: number,
  shares: readonly number[] | undefined,
): Promise<void> {
  const expected = JSON.stringify(shares);
  for (let turn = 0; turn < 5000; turn++) {
    await exchange.beforeStep(step, () => weightsOf(0));
    if (JSON.stringify(exchange.teacherShares(step)) === expected) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`the teachers of step ${step} are never ${expected}`);
}

test('without a limit of age a student has no teachers until all are there, and keeps old ones', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  using student = await openExchange(system, 2);
  const { exchange, publish } = student;
  await publish(0, 0);
  await exchange.beforeStep(1, () => weightsOf(0));
  t.is(exchange.teacherShares(1), undefined);
  await publish(1, 0);
  await stepUntil(exchange, 2, [0.5, 0.5]);
  t.deepEqual(exchange.teacherShares(1000), [0.5, 0.5]);
  t.is(exchange.stalenessSteps(1000), 1000);
});

test('beyond the limit a student goes on without the teacher that is too old, and takes it back when it is newer', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  using student = await openExchange(system, 2, { stalenessStepsMax: 20 });
  const { exchange, publish } = student;
  await publish(0, 0);
  await publish(1, 10);
  await stepUntil(exchange, 15, [0.5, 0.5]);
  // At step 21 the first is 21 steps old, the second 11; at step 31 both are too old.
  t.deepEqual(exchange.teacherShares(20), [0.5, 0.5]);
  t.deepEqual(exchange.teacherShares(21), [0, 1]);
  t.is(exchange.stalenessSteps(21), 11);
  t.is(exchange.teacherShares(31), undefined);
  await publish(0, 30);
  await stepUntil(exchange, 31, [1, 0]);
  t.is(exchange.stalenessSteps(31), 1);
});

test('beyond the limit a student that waits takes no step until the teacher is fresh enough', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  using student = await openExchange(system, 1, { stalenessStepsMax: 20, beyondStaleness: 'wait' });
  const { exchange, publish, loaded } = student;
  await publish(0, 0);
  await exchange.beforeStep(20, () => weightsOf(0));
  t.deepEqual(exchange.teacherShares(20), [1]);
  let done = false;
  const waiting = exchange
    .beforeStep(25, () => weightsOf(0))
    .then(() => {
      done = true;
    });
  // Still too old: the step goes on waiting.
  await publish(0, 4);
  t.false(done);
  await publish(0, 20);
  await waiting;
  t.is(exchange.stalenessSteps(25), 5);
  t.deepEqual(loaded.at(-1), [0, 20]);
});

test('with the mode final a student takes what its teacher ended with, and publishes its own end alone', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  using student = await openExchange(system, 1, { mode: 'final' });
  const { exchange, own, publish, loaded } = student;
  await publish(0, 100);
  for (let step = 0; step < 30; step++) await exchange.beforeStep(step, () => weightsOf(step));
  t.deepEqual(loaded, [[0, 100]]);
  t.deepEqual(exchange.teacherShares(0), [1]);
  t.is(await own.latestVersion(), null);
  await exchange.afterTraining(30, () => weightsOf(30));
  t.deepEqual(await own.weights(), { version: 30, weights: weightsOf(30) });
});

test('a replica without students publishes nothing and still learns', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  using student = await openExchange(system, 1, {});
  const alone = await openExchange(system, 0, {});
  await alone.exchange.beforeStep(0, () => weightsOf(3));
  await alone.exchange.afterTraining(10, () => weightsOf(3));
  // With students it publishes although it has no teachers.
  t.deepEqual(await alone.own.weights(), { version: 0, weights: weightsOf(3) });
  await student.publish(0, 0);
  await stepUntil(student.exchange, 1, [1]);
  alone[Symbol.dispose]();
});

test('a teacher that trains for fewer steps teaches with its last version to the end', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  const teachers = { mode: 'scheduled', burnInSteps: 55 } as const;
  using student = await openExchange(system, 1, teachers);
  const { exchange, publish, loaded } = student;
  using teacher = await openExchange(system, 0, { ...teachers, steps: 31 });
  for (let step = 0; step < 31; step++) await teacher.exchange.beforeStep(step, () => weightsOf(1));
  await teacher.exchange.settled();
  // In burn-in nothing but the last version is published.
  t.is(await teacher.own.latestVersion(), 30);
  // `openExchange` says of its teachers that they train for 100 steps: their last version is 90.
  for (const version of [40, 50, 60, 70, 80, 90]) await publish(0, version);
  for (let step = 0; step < 300; step++) await exchange.beforeStep(step, () => weightsOf(step));
  t.deepEqual(
    loaded.map(([, version]) => version),
    [40, 50, 60, 70, 80, 90],
  );
  await exchange.moveTo(255, weightsOf(255));
  t.is(loaded.length, 6);
});

test('a student that goes on out of turn takes the teachers of a run that came there step by step', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  const versions = [0, 10, 20, 30, 40, 50];
  /** Which teacher is in use at `step`, on the way or after a jump from step 25. */
  const inUse = async (step: number, jumps: boolean): Promise<number | undefined> => {
    using student = await openExchange(system, 1, { mode: 'scheduled', burnInSteps: 25 });
    const { exchange, publish, loaded } = student;
    for (const version of versions) await publish(0, version);
    for (let at = 0; at < (jumps ? 25 : step); at++) {
      await exchange.beforeStep(at, () => weightsOf(at));
    }
    if (jumps) await exchange.moveTo(step, weightsOf(step));
    await exchange.beforeStep(step, () => weightsOf(step));
    return loaded.at(-1)?.[1];
  };
  for (const [step, version] of [
    [5, undefined],
    [29, 10],
    [30, 20],
    [31, 20],
    [40, 30],
    [47, 30],
  ] as const) {
    t.is(await inUse(step, false), version, `step ${step} on the way`);
    // Back in burn-in teachers that are loaded don't count.
    if (step >= 25) t.is(await inUse(step, true), version, `step ${step} after a jump`);
  }
});

test('a worker that was left behind over an exchange publishes where it goes on, so that nobody waits for ever', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  for (const mode of ['scheduled', 'freshest'] as const) {
    using student = await openExchange(system, 0, { mode });
    const { exchange, own } = student;
    for (let step = 0; step <= 4; step++) await exchange.beforeStep(step, () => weightsOf(step));
    await exchange.moveTo(10, weightsOf(10));
    await exchange.settled();
    // It has published version 0 and will publish that of step 10 in turn.
    t.is(await own.latestVersion(), 0);
    await exchange.moveTo(37, weightsOf(37));
    await exchange.settled();
    t.deepEqual(await own.weights(), { version: 37, weights: weightsOf(37) });
    await exchange.moveTo(38, weightsOf(38));
    await exchange.beforeStep(40, () => weightsOf(40));
    await exchange.settled();
    t.is(await own.latestVersion(), 40);
  }
});

test('a worker that comes back finds what it published before, and publishes it no second time', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  using before = await openExchange(system, 0, { mode: 'scheduled' });
  for (let step = 0; step <= 30; step++) {
    await before.exchange.beforeStep(step, () => weightsOf(step));
  }
  await before.exchange.settled();
  const resumed = { exchangedAt: 10, teacherVersions: [], published: { count: 2, bytes: 8 } };
  using after = await openExchange(system, 0, { mode: 'scheduled', snapshot: before.own, resumed });
  await after.exchange.resume(33, weightsOf(33));
  await after.exchange.settled();
  t.is(await before.own.latestVersion(), 30);
});

test('what a worker of several publishes is saved before it goes on', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  using student = await openExchange(system, 0, { mode: 'scheduled', awaitsDelivery: true });
  const { exchange, own } = student;
  await exchange.beforeStep(0, () => weightsOf(7));
  t.false(exchange.transferring);
  t.deepEqual(await own.weights(), { version: 0, weights: weightsOf(7) });
});
