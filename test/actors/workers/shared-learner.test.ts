import test from 'ava';
import { Student } from '../../../actors/student.ts';
import { parameterServer } from '../../../actors/workers/parameter-server.ts';
import { ServerLink } from '../../../actors/workers/server-link.ts';
import { SharedLearner } from '../../../actors/workers/shared-learner.ts';
import { createSystem, systemClock } from '../../../runtime/index.ts';
import { defaultObjective } from '../../../training/index.ts';
import { serverOptions, share } from './small-server.ts';

const columns = { tokens: Int32Array.of(1, 2), targets: Int32Array.of(2, 3) };

test('a worker that always comes too late tells what the others’ update showed, and keeps what its codec left out', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  const options = { ...serverOptions, quorum: 1 };
  const server = await system.spawn(parameterServer, options, { isolation: 'inline' });
  await using student = new Student({
    ...serverOptions,
    batch: 1,
    firstLane: 0,
    teacherModels: [],
    teacherPrecision: 'f32',
    objective: defaultObjective,
    burnInSteps: 0,
    stalenessStepsMax: null,
    givesGradients: true,
    carries: 'weights',
  });
  await student.prepare(false);
  const learner = new SharedLearner({
    student,
    link: new ServerLink({
      server,
      worker: 0,
      patience: { clock: systemClock, patienceMs: 10_000 },
      bytes: 0,
    }),
    codec: 'int8',
    synchronous: true,
    carried: {
      read: () => student.carried(),
      restore: (carried) => student.restoreCarried(carried),
    },
    rest: {},
  });
  const step = (number: number) =>
    learner.step({ step: number, columns, teacherShares: undefined });

  t.is(await learner.begin(0), 0);
  const first = await step(0);
  t.is(first?.next, 1);
  const rest = learner.checkpoint();
  t.true(Object.values(rest).some((values) => values.some((value) => value !== 0)));

  for (const [loss, next] of [
    [5, 3],
    [6, 5],
  ] as const) {
    await server.contribute(share(1, next - 2, 0.001));
    await server.contribute(share(1, next - 1, 0.001, loss));
    const late = await step(next - 2);
    t.is(late?.next, next);
    t.is(late?.outputs?.loss, loss);
    t.is(learner.checkpoint(), rest);
  }
  t.is((await step(5))?.next, 6);
  t.not(learner.checkpoint(), rest);
});
