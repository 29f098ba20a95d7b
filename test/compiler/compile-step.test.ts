import * as tf from '@tensorflow/tfjs-core';
// Brings the gradients.
import '@tensorflow/tfjs-layers';
import test from 'ava';
import { startFastest } from '../../compiler/engines.ts';
import {
  compileStep,
  createState,
  type EngineName,
  engineNames,
  listEngines,
  type StepFunction,
} from '../../compiler/index.ts';
import { CannotCompileError, EngineUnavailableError } from '../../errors.ts';
import { workingEngines } from './working-engines.ts';

const vector = { shape: [3], dtype: 'float32' } as const;

/** Adds the input to the state; the output is what the state was. */
const accumulate: StepFunction = ({ total }, { x }) => ({
  state: { total: tf.add(total!, x!) },
  outputs: { before: total! },
});

async function prepare(engine: EngineName | 'auto' = 'onnx-cpu') {
  const state = createState({ total: vector });
  return { state, step: await compileStep(accumulate, { state, inputs: { x: vector }, engine }) };
}

for (const engine of workingEngines) {
  test(`${engine}: a run updates the state and answers outputs that later runs leave alone`, async (t) => {
    const { state, step } = await prepare(engine);
    t.is(step.engine, engine);
    await step.run({ x: Float32Array.of(1, 2, 3) });
    const { before } = await step.run({ x: Float32Array.of(10, 20, 30) });
    await state.toHost();
    t.deepEqual([...state.read('total')], [11, 22, 33]);
    await step.run({ x: Float32Array.of(1, 1, 1) });
    t.deepEqual([...before!], [1, 2, 3]);
    await step.dispose();
  });

  test(`${engine}: what is written into the state between runs is what the next run reads`, async (t) => {
    const { state, step } = await prepare(engine);
    state.read('total').set([100, 200, 300]);
    const { before } = await step.run({ x: new Float32Array(3) });
    t.deepEqual([...before!], [100, 200, 300]);
    await step.dispose();
  });

  test(`${engine}: several steps share a state`, async (t) => {
    const { state, step } = await prepare(engine);
    const half = await compileStep(
      ({ total }) => ({ state: { total: tf.mul(total!, 0.5) }, outputs: {} }),
      {
        state,
        inputs: {},
        engine,
      },
    );
    await step.run({ x: Float32Array.of(2, 4, 6) });
    await half.run({});
    await step.run({ x: Float32Array.of(1, 1, 1) });
    await state.toHost();
    t.deepEqual([...state.read('total')], [2, 3, 4]);
    await Promise.all([step.dispose(), half.dispose()]);
  });

  test(`${engine}: whole numbers and bools go in and come out as such`, async (t) => {
    const state = createState({
      seen: { shape: [2], dtype: 'bool' },
      count: { shape: [], dtype: 'int32' },
    });
    const step = await compileStep(
      ({ seen, count }, { flags, ids }) => ({
        state: { seen: tf.logicalOr(seen!, flags!), count: tf.add(count!, tf.sum(ids!)) },
        outputs: { large: tf.greater(ids!, tf.scalar(3, 'int32')), ids: ids! },
      }),
      {
        state,
        inputs: { flags: { shape: [2], dtype: 'bool' }, ids: { shape: [4], dtype: 'int32' } },
        engine,
      },
    );
    const ids = Int32Array.of(1, 5, 3, 4);
    const outputs = await step.run({ flags: Uint8Array.of(0, 1), ids });
    t.deepEqual(outputs, { large: Uint8Array.of(0, 1, 0, 1), ids });
    t.deepEqual(state.read('seen'), Uint8Array.of(0, 1));
    t.deepEqual(state.read('count'), Int32Array.of(13));
    await step.dispose();
  });

  test(`${engine}: tfjs keeps no tensor between runs`, async (t) => {
    const { step } = await prepare(engine);
    await step.run({ x: new Float32Array(3) });
    const { numTensors } = tf.engine().state;
    for (let run = 0; run < 5; run++) await step.run({ x: new Float32Array(3) });
    t.is(tf.engine().state.numTensors, numTensors);
    await step.dispose();
  });
}

test('inputs are refused by name, with what was expected and what came', async (t) => {
  const { step } = await prepare();
  const refused = (inputs: object) => step.run(inputs as Record<string, Float32Array>);
  await t.throwsAsync(refused({}), {
    instanceOf: TypeError,
    message: /'x'.*Float32Array.*nothing/,
  });
  await t.throwsAsync(refused({ x: [1, 2, 3] }), {
    instanceOf: TypeError,
    message: /'x'.*given Array/,
  });
  await t.throwsAsync(refused({ x: new Int32Array(3) }), {
    instanceOf: TypeError,
    message: /'x'.*float32\[3\].*Int32Array/,
  });
  await t.throwsAsync(refused({ x: new Float32Array(4) }), {
    instanceOf: RangeError,
    message: /'x'.*3 elements.*given 4/,
  });
  await t.throwsAsync(refused({ x: new Float32Array(3), y: new Float32Array(3) }), {
    instanceOf: TypeError,
    message: /no input 'y'.*x/,
  });
  await step.run({ x: new Float32Array(3) });
  await step.dispose();
});

test('a second run on the same state fails while the first goes on, and works after it', async (t) => {
  const { state, step } = await prepare();
  const other = await compileStep(accumulate, { state, inputs: { x: vector }, engine: 'onnx-cpu' });
  const x = Float32Array.of(1, 1, 1);
  const first = step.run({ x });
  await t.throwsAsync(step.run({ x }), { message: /still runs/ });
  await t.throwsAsync(other.run({ x }), { message: /still runs/ });
  await t.throwsAsync(step.dispose(), { message: /while it runs/ });
  await first;
  await other.run({ x });
  t.deepEqual([...state.read('total')], [2, 2, 2]);
  await Promise.all([step.dispose(), other.dispose()]);
});

for (const engine of workingEngines) {
  test(`${engine}: a run takes its inputs at once, and isn't disposed of before it ends`, async (t) => {
    const { state, step } = await prepare(engine);
    const x = Float32Array.of(1, 2, 3);
    const run = step.run({ x });
    x.fill(100);
    await t.throwsAsync(step.dispose(), { message: /while it runs/ });
    await run;
    await state.toHost();
    t.deepEqual([...state.read('total')], [1, 2, 3]);
    await step.dispose();
  });
}

test('a step can be disposed of twice but not run again', async (t) => {
  const { step } = await prepare();
  await step.dispose();
  await step.dispose();
  await t.throwsAsync(step.run({ x: new Float32Array(3) }), { message: /dispose/ });
});

test('a failed run leaves the state free for the next', async (t) => {
  const state = createState({});
  const step = await compileStep(
    (_, { table, index }) => ({
      state: {},
      outputs: { row: tf.gather(table!, index as tf.Tensor1D) },
    }),
    { state, inputs: { table: vector, index: { shape: [1], dtype: 'int32' } }, engine: 'onnx-cpu' },
  );
  const table = Float32Array.of(1, 2, 3);
  await t.throwsAsync(step.run({ table, index: Int32Array.of(99) }), { message: /99/ });
  const { row } = await step.run({ table, index: Int32Array.of(2) });
  t.deepEqual([...row!], [3]);
  await step.dispose();
});

test('impossible options are refused', async (t) => {
  const state = createState({ total: vector });
  const inputs = { x: vector };
  await t.throwsAsync(compileStep(accumulate, { state, inputs, engine: 'cuda' as 'auto' }), {
    instanceOf: TypeError,
    message: /'cuda'.*onnx-cpu/,
  });
  await t.throwsAsync(compileStep(accumulate, { state, inputs, threads: 0 }), {
    instanceOf: RangeError,
    message: /threads is 0/,
  });
  await t.throwsAsync(compileStep(accumulate, { state: {} as never, inputs }), {
    instanceOf: TypeError,
    message: /createState/,
  });
  const misspelt = { state, inputs, thread: 2 };
  await t.throwsAsync(compileStep(accumulate, misspelt), {
    instanceOf: TypeError,
    message: /no option 'thread'; there are state, inputs, engine, threads,/,
  });
  await t.throwsAsync(compileStep(accumulate, undefined as never), {
    instanceOf: TypeError,
    message: /\{ state, inputs, … \}.*undefined/,
  });
});

test('the engines that this package brings work where the tests run', (t) => {
  for (const name of ['onnx-cpu', 'tfjs-wasm', 'tfjs-cpu'] as const) {
    t.true(workingEngines.includes(name), name);
  }
});

test('an engine that doesn’t work says why and what it needs', async (t) => {
  const reports = await listEngines();
  t.deepEqual(
    reports.map(({ name }) => name),
    engineNames,
  );
  for (const { name, works, reason, install } of reports) {
    if (works) continue;
    t.regex(reason!, /\w/);
    t.regex(install!, /\w/);
    await t.throwsAsync(
      compileStep(accumulate, {
        state: createState({ total: vector }),
        inputs: { x: vector },
        engine: name,
      }),
      { instanceOf: EngineUnavailableError, message: new RegExp(`'${name}' doesn't work here`) },
    );
  }
});

const nameOf = async (_: unknown, name: EngineName) => name;

test('the automatic choice is the fastest engine that knows all of a step’s kernels', async (t) => {
  t.is(await startFastest({ kernelNames: new Set(['Add']) }, nameOf), workingEngines[0]!);
  const obstacle = new Error('not compiled');
  t.is(await startFastest({ kernelNames: new Set(['Add']), obstacle }, nameOf), 'tfjs-cpu');
});

test('an engine that is named and lacks an operation refuses the step, with its place', async (t) => {
  const step: StepFunction = ({ filter }, { x }) => {
    const loss = (w: tf.Tensor) =>
      tf.sum(tf.conv2d(tf.reshape(x!, [1, 3, 1, 1]) as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'));
    return { state: {}, outputs: { gradient: tf.grad(loss)(filter!) } };
  };
  const options = {
    state: createState({ filter: { shape: [2, 2, 1, 1], dtype: 'float32' } }),
    inputs: { x: vector },
  };
  await t.throwsAsync(compileStep(step, { ...options, engine: 'tfjs-wasm' }), {
    instanceOf: CannotCompileError,
    message: /'tfjs-wasm' lacks .*'Conv2DBackpropFilter'.* at .*compile-step\.test\.ts:\d+.*'auto'/,
  });
  await (await compileStep(step, { ...options, engine: 'tfjs-cpu' })).dispose();
});

test('an engine that refuses a step gives way to the next one', async (t) => {
  const refused = workingEngines[0];
  const chosen = await startFastest({ kernelNames: new Set(['Add']) }, async (_, name) => {
    if (name === refused) throw new EngineUnavailableError('not all of it');
    return name;
  });
  t.is(chosen, workingEngines[1]!);
});

test('a step that can’t be compiled runs on tfjs’s own CPU backend', async (t) => {
  const step: StepFunction = (_, { x }) => ({
    state: {},
    outputs: { y: tf.unique(x!).values },
  });
  const options = { state: createState({}), inputs: { x: vector } };
  const compiled = await compileStep(step, options);
  t.is(compiled.engine, 'tfjs-cpu');
  const { y } = await compiled.run({ x: Float32Array.of(1, 2, 3) });
  t.deepEqual([...y!], [1, 2, 3]);
  await compiled.dispose();
});

test('where no engine works the error has every engine’s reason', async (t) => {
  const obstacle = new Error('of the step');
  const error = await t.throwsAsync(
    startFastest({ kernelNames: new Set(['NoSuchKernel']), obstacle }, nameOf),
    { instanceOf: EngineUnavailableError },
  );
  t.regex(error?.message ?? '', /of the step.*tfjs-cpu.*NoSuchKernel/);
});
