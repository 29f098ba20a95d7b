import test from 'ava';
import { teacherSnapshot } from '../../../actors/exchange/teacher-snapshot.ts';
import { DeltaEncoder, fullDelta, type Weights } from '../../../actors/exchange/weight-delta.ts';
import { createSystem } from '../../../runtime/index.ts';

const shapes = { kernel: [2, 2] };
const options = { replica: 'replica-1', shapes, versionsMax: 4 };
const weightsOf = (value: number): Weights => ({ kernel: new Float32Array(4).fill(value) });

for (const codec of ['f32', 'int8'] as const) {
  test(`codec ${codec}: a version whose predecessor is missing is a gap until that one is sent in full`, async (t) => {
    await using system = await createSystem({ bus: 'memory' });
    const snapshot = await system.spawn(teacherSnapshot, options, { isolation: 'inline' });
    const encoder = new DeltaEncoder({ codec, shapes });
    t.like(await snapshot.apply(encoder.encode(weightsOf(0), 0)), { status: 'applied' });
    encoder.encode(weightsOf(1), 5);
    const lost = encoder.base;
    const delta = encoder.encode(weightsOf(2), 10);
    t.deepEqual(await snapshot.apply(delta), {
      status: 'gap',
      reason: 'delta on version 5, have version 0',
    });
    if (lost === undefined) return t.fail('the encoder keeps no base');
    t.like(await snapshot.apply(fullDelta(lost)), { status: 'applied', version: 5 });
    t.like(await snapshot.apply(delta), { status: 'applied', version: 10 });
    t.deepEqual((await snapshot.weightsOf(5))?.weights, weightsOf(1));
    t.deepEqual((await snapshot.weightsOf(10))?.weights, weightsOf(2));
  });
}

test('a version that the Trainer heard of survives kill -9', async (t) => {
  await using system = await createSystem({ bus: 'local' });
  const pids: number[] = [];
  system.onActorEvent(({ pid }) => {
    if (pid !== undefined) pids.push(pid);
  });
  const snapshot = await system.spawn(teacherSnapshot, options, {
    maxRestarts: 3,
    restartBackoffMs: 10,
  });
  const encoder = new DeltaEncoder({ codec: 'f32', shapes });
  for (const version of [0, 5, 10]) {
    t.like(await snapshot.apply(encoder.encode(weightsOf(version), version)), { version });
    process.kill(pids.at(-1) as number, 'SIGKILL');
    t.is(await snapshot.latestVersion(), version);
  }
  t.deepEqual((await snapshot.weightsOf(5))?.weights, weightsOf(5));
});
