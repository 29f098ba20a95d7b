import test from 'ava';
import type { Weights } from '../../../actors/exchange/weight-delta.ts';
import {
  type ParameterServer,
  type ParameterServerOptions,
  parameterServer,
} from '../../../actors/workers/parameter-server.ts';
import { createSystem, type Handle } from '../../../runtime/index.ts';
import { serverOptions as base, lowered, share } from './small-server.ts';

async function withServer(
  options: ParameterServerOptions,
  body: (server: Handle<ParameterServer>, first: Weights) => Promise<void>,
): Promise<void> {
  await using system = await createSystem({ bus: 'memory' });
  const server = await system.spawn(parameterServer, options, { isolation: 'inline' });
  await body(server, (await server.join(0)).weights);
}

test('an update waits for all workers and takes the mean of what they give', async (t) => {
  await withServer(base, async (server, first) => {
    const early = server.contribute(share(1, 0, 3));
    const [one, other] = await Promise.all([server.contribute(share(0, 0, 1)), early]);
    t.like(one, { status: 'updated', version: 1, measures: { loss: 2 } });
    t.deepEqual(one, other);
    if (one.status !== 'updated') return t.fail();
    t.deepEqual(one.weights, lowered(first, 2));
    const size = Object.values(first).reduce((total, values) => total + values.length, 0);
    t.true(Math.abs(one.measures!.gradientNorm! - 2 * Math.sqrt(size)) < 1e-4);
  });
});

test('backup workers: the slowest is dropped and given the new weights', async (t) => {
  await withServer({ ...base, workers: 3 }, async (server, first) => {
    await Promise.all([server.contribute(share(2, 0, 1)), server.contribute(share(0, 0, 3))]);
    const late = await server.contribute(share(1, 0, 1000));
    t.like(late, {
      status: 'updated',
      version: 1,
      measures: undefined,
      latestMeasures: { loss: 2 },
    });
    t.deepEqual(late.status === 'updated' && late.weights, lowered(first, 2));
  });
});

test('asynchronous: each contribution is an update, of whatever version', async (t) => {
  await withServer({ ...base, quorum: 1, asynchronous: true }, async (server, first) => {
    t.like(await server.contribute(share(0, 0, 1)), { version: 1 });
    const answer = await server.contribute(share(1, 0, 3));
    t.like(answer, { version: 2, measures: { loss: 3 } });
    t.deepEqual(answer.status === 'updated' && answer.weights, lowered(lowered(first, 1), 3));
  });
});

test('who waits for a worker that leaves is told, and goes on when it is back', async (t) => {
  await withServer(base, async (server, first) => {
    const waiting = server.contribute(share(0, 0, 1));
    await server.leave(1);
    t.deepEqual(await waiting, { status: 'paused' });
    t.deepEqual(await server.contribute(share(0, 0, 1)), { status: 'paused' });
    t.like(await server.join(1), { version: 0 });
    const [answer] = await Promise.all([
      server.contribute(share(0, 0, 1)),
      server.contribute(share(1, 0, 1)),
    ]);
    t.deepEqual(answer.status === 'updated' && answer.weights, lowered(first, 1));
  });
});

test('an update that is under way counts for all, whoever leaves meanwhile', async (t) => {
  await withServer(base, async (server, first) => {
    const given = [server.contribute(share(0, 0, 1)), server.contribute(share(1, 0, 3))];
    await server.leave(1);
    for (const answer of await Promise.all(given)) {
      t.like(answer, { status: 'updated', version: 1 });
      t.deepEqual(answer.status === 'updated' && answer.weights, lowered(first, 2));
    }
  });
});

test('a worker that restarts in the middle of a round counts once', async (t) => {
  await withServer(base, async (server, first) => {
    const lost = server.contribute(share(0, 0, 1));
    const again = server.contribute(share(0, 0, 1));
    await server.contribute(share(1, 0, 3));
    t.deepEqual(await lost, await again);
    t.deepEqual((await server.join(0)).weights, lowered(first, 2));
  });
});

test('a worker that comes back is told what it carried on from the last update that it was part of', async (t) => {
  const state = (value: number) => ({ 'student.recurrent/h': Float32Array.of(value) });
  await withServer(base, async (server) => {
    await Promise.all([
      server.contribute({ ...share(0, 0, 1), carried: state(10) }),
      server.contribute({ ...share(1, 0, 1), carried: state(11) }),
    ]);
    t.deepEqual((await server.join(1)).carried, state(11));
    // It goes on from an older checkpoint: it isn't where the others are, and hears the same.
    const answer = await server.contribute({ ...share(0, 0, 1), carried: state(99) });
    t.like(answer, { status: 'updated', version: 1, carried: state(10) });
    await Promise.all([server.contribute(share(0, 1, 1)), server.contribute(share(1, 1, 1))]);
    t.is((await server.join(1)).carried, undefined);
  });
});

test('a contribution of another model, or of nobody, is refused', async (t) => {
  await withServer(base, async (server) => {
    const { gradients, ...rest } = share(0, 0, 1);
    const [name = ''] = Object.keys(gradients);
    const { [name]: _, ...others } = gradients;
    await t.throwsAsync(server.contribute({ ...rest, gradients: others }), {
      message: new RegExp(`lack the parameter ${name}`),
    });
    await t.throwsAsync(server.contribute(share(2, 0, 1)), { message: /workers 0 to 1, got 2/ });
    await t.throwsAsync(server.join(0.5), { message: /workers 0 to 1, got 0.5/ });
  });
});
