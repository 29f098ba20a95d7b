import test from 'ava';
import { branchesOf } from '../../../actors/placement.ts';
import { type GradientBranch, gradientBranch } from '../../../actors/workers/gradient-branch.ts';
import { type ParameterServer, parameterServer } from '../../../actors/workers/parameter-server.ts';
import type { WorkersPlan } from '../../../actors/workers/workers-plan.ts';
import { createSystem, type Handle } from '../../../runtime/index.ts';
import { lowered, serverOptions, share } from './small-server.ts';

const state = (value: number) => ({ 'student.recurrent/h': Float32Array.of(value) });

/** Workers 1 and 2 of three are on another host than the server. */
async function withBranch(
  body: (server: Handle<ParameterServer>, branch: Handle<GradientBranch>) => Promise<void>,
): Promise<void> {
  await using system = await createSystem({ bus: 'memory' });
  const inline = { isolation: 'inline' } as const;
  const options = { ...serverOptions, workers: 3, quorum: 3 };
  const server = await system.spawn(parameterServer, options, inline);
  const branch = await system.spawn(
    gradientBranch,
    { model: options.model, workers: [1, 2], server, codec: 'f32' },
    inline,
  );
  await body(server, branch);
}

test('a tree of two levels averages what all workers give, and answers all of them', async (t) => {
  await withBranch(async (server, branch) => {
    const first = await server.join(0);
    t.deepEqual(await branch.join(1), first);
    const [one, two, three] = await Promise.all([
      server.contribute({ ...share(0, 0, 1), carried: state(10) }),
      branch.contribute({ ...share(1, 0, 2), carried: state(11) }),
      branch.contribute({ ...share(2, 0, 6), carried: state(12) }),
    ]);
    // Plain descent at rate 1 by (1 + 2 + 6) / 3.
    t.like(one, { status: 'updated', version: 1, measures: { loss: 3 } });
    if (one.status !== 'updated') return t.fail();
    t.deepEqual(one.weights, lowered(first.weights, 3));
    t.deepEqual(two, one);
    t.deepEqual(three, one);
    t.deepEqual((await branch.join(2)).carried, state(12));
  });
});

test('a worker that leaves lets the others of its host wait, and all go on when it is back', async (t) => {
  await withBranch(async (server, branch) => {
    const waiting = branch.contribute(share(1, 0, 2));
    await branch.leave(2);
    t.deepEqual(await waiting, { status: 'paused' });
    t.deepEqual(await branch.contribute(share(1, 0, 2)), { status: 'paused' });
    t.deepEqual(await server.contribute(share(0, 0, 1)), { status: 'paused' });
    await branch.join(2);
    const answers = await Promise.all([
      branch.contribute(share(1, 0, 2)),
      server.contribute(share(0, 0, 1)),
      branch.contribute(share(2, 0, 6)),
    ]);
    for (const answer of answers) t.like(answer, { version: 1, measures: { loss: 3 } });
  });
});

test('workers of a host that are not where the server is hear each what it carried there', async (t) => {
  await withBranch(async (server, branch) => {
    await Promise.all([
      server.contribute({ ...share(0, 0, 1), carried: state(10) }),
      branch.contribute({ ...share(1, 0, 2), carried: state(11) }),
      branch.contribute({ ...share(2, 0, 6), carried: state(12) }),
    ]);
    // Both take a step that the server, which went back to version 1, knows nothing of.
    const [one, two] = await Promise.all([
      branch.contribute({ ...share(1, 7, 2), carried: state(98) }),
      branch.contribute({ ...share(2, 7, 6), carried: state(99) }),
    ]);
    t.like(one, { status: 'updated', version: 1, carried: state(11) });
    t.like(two, { status: 'updated', version: 1, carried: state(12) });
    // One that waits with an old version doesn't hold up those that are where the server is.
    const late = branch.contribute(share(1, 0, 2));
    const on = [branch.contribute(share(2, 1, 6)), server.contribute(share(0, 1, 1))];
    t.like(await late, { status: 'updated', version: 1, carried: state(11) });
    for (const answer of await Promise.all([...on, branch.contribute(share(1, 1, 2))])) {
      t.like(answer, { version: 2, measures: { loss: 3 } });
    }
  });
});

test('each host but the server’s has a branch for its workers, where an update waits for all', (t) => {
  const plan = (rest: object): WorkersPlan =>
    ({ mode: 'synchronous', count: 5, codec: 'f32', backups: 0, ...rest }) as WorkersPlan;
  // Workers 0 to 4 of the second replica go round: nodes 1, 2, 0, 1, 2.
  t.deepEqual(branchesOf(plan({}), 1, 3), [{ node: 2, workers: [1, 4] }]);
  t.deepEqual(branchesOf(plan({}), 0, 1), []);
  t.deepEqual(branchesOf(plan({ count: 4 }), 0, 2), [{ node: 1, workers: [1, 3] }]);
  t.deepEqual(branchesOf(plan({ backups: 1 }), 1, 2), []);
  t.deepEqual(branchesOf(plan({ mode: 'asynchronous' }), 1, 2), []);
  t.deepEqual(branchesOf(undefined, 1, 2), []);
});
