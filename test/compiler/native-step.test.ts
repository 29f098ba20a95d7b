import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Graph } from '../../compiler/graph.ts';
import { graphHash } from '../../compiler/graph-hash.ts';
import { compileNativeStep } from '../../compiler/native-step.ts';
import { traceStep } from '../../compiler/trace-step.ts';
import { smallStep } from './small-model.ts';

const options = {
  target: { channelBlock: 1 },
  int8Inputs: [] as string[],
  fuseUpdates: true,
} as const;

function trace(stepOptions: { clipNorm?: number } = {}): Graph {
  const { step, state, inputs } = smallStep(stepOptions);
  return traceStep(step, state, inputs).graph;
}

/** Gives the test a cache of its own. */
async function useCache(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'codistill-steps-'));
  const before = process.env.CODISTILL_CACHE;
  process.env.CODISTILL_CACHE = folder;
  t.teardown(async () => {
    if (before === undefined) delete process.env.CODISTILL_CACHE;
    else process.env.CODISTILL_CACHE = before;
    await rm(folder, { recursive: true });
  });
  return join(folder, 'steps');
}

test('graphs of one step have one hash, of steps that differ in a constant different ones', (t) => {
  t.is(graphHash(trace()), graphHash(trace()));
  t.not(graphHash(trace()), graphHash(trace({ clipNorm: 2 })));
});

test('a hash tells apart what a text would not', (t) => {
  const graphOf = (splat: number, order: readonly [0 | 1, 0 | 1] = [0, 1]): Graph => {
    const values = [
      { shape: [2], dtype: 'float32' },
      { shape: [2], dtype: 'float32', constant: { splat } },
    ] as const;
    const output = { shape: [2], dtype: 'float32' } as const;
    const inputs = order.map((index) => values[index]);
    return {
      inputs: new Map([['x', values[0]]]),
      nodes: [{ operator: 'Sub', inputs, outputs: [output], attributes: {} }],
      outputs: new Map([['y', output]]),
    };
  };
  const hashes = [graphOf(0), graphOf(-0), graphOf(Infinity), graphOf(0, [1, 0])].map(graphHash);
  t.is(new Set(hashes).size, hashes.length);
});

test.serial('a step is compiled once, and comes back from the cache as it was', async (t) => {
  const folder = await useCache(t);
  const first = await compileNativeStep(trace(), options);
  t.is((await readdir(folder)).length, 1);
  const again = await compileNativeStep(trace(), options);
  t.is((await readdir(folder)).length, 1);
  t.deepEqual(
    { ...again, model: Buffer.from(again.model) },
    { ...first, model: Buffer.from(first.model) },
  );
});

test.serial(
  'what is in the cache is what is run: another step, or other options, have another entry',
  async (t) => {
    const folder = await useCache(t);
    await compileNativeStep(trace(), options);
    await compileNativeStep(trace(), { ...options, fuseUpdates: false });
    await compileNativeStep(trace({ clipNorm: 3 }), options);
    t.is((await readdir(folder)).length, 3);
  },
);

test.serial('a damaged entry is compiled anew', async (t) => {
  const folder = await useCache(t);
  const first = await compileNativeStep(trace(), options);
  const [name] = await readdir(folder);
  const path = join(folder, name!);
  const whole = await readFile(path);
  const damaged = Buffer.from(whole);
  damaged[damaged.length >> 1]! ^= 255;
  await writeFile(path, damaged);
  const again = await compileNativeStep(trace(), options);
  t.deepEqual(Buffer.from(again.model), Buffer.from(first.model));
  t.deepEqual(await readFile(path), whole);
});

test.serial('without a cache nothing is written', async (t) => {
  const folder = await useCache(t);
  process.env.CODISTILL_CACHE = 'off';
  const { model } = await compileNativeStep(trace(), options);
  t.true(model.length > 1000);
  await t.throwsAsync(readdir(folder), { code: 'ENOENT' });
});
