import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { compileStep, createState, type StepFunction } from '../../compiler/index.ts';
import { traceStep } from '../../compiler/trace-step.ts';
import { CannotCompileError } from '../../errors.ts';
import { operatorsOf } from './graphs.ts';

const vector = { shape: [4], dtype: 'float32' } as const;

// tfjs's CPU backend greets at its first tensor; tests are to print nothing.
tf.env().set('PROD', true);

test('a trace records what a step does, by name, and computes nothing', (t) => {
  const { graph, kernels } = traceStep(
    ({ w }, { x }) => ({ state: { w: tf.add(w!, x!) }, outputs: { y: tf.exp(w!) } }),
    { w: vector, unused: vector },
    { x: vector },
  );
  t.deepEqual([...graph.inputs.keys()], ['state:w', 'state:unused', 'input:x']);
  t.deepEqual([...graph.outputs.keys()], ['state:w', 'output:y']);
  t.deepEqual(operatorsOf(graph), ['Add', 'Exp']);
  t.deepEqual([...kernels.keys()], ['Add', 'Exp']);
});

test('an entry handed back as it came is no update', (t) => {
  const { graph } = traceStep(({ w }) => ({ state: { w: w! }, outputs: {} }), { w: vector }, {});
  t.is(graph.outputs.size, 0);
});

test.serial('tracing leaves the user’s backend active and no tensor behind', async (t) => {
  await tf.setBackend('cpu');
  const before = tf.memory().numTensors;
  traceStep(
    ({ w }) => ({
      state: {},
      outputs: { y: tf.tidy(() => tf.sum(tf.mul(w!, tf.tensor1d([1, 2, 3, 4])))) },
    }),
    { w: vector },
    {},
  );
  t.is(tf.getBackend(), 'cpu');
  t.is(tf.memory().numTensors, before);
  t.deepEqual([...tf.add([1, 2], [3, 4]).dataSync()], [4, 6]);
});

test.serial(
  'a step that throws leaves the user’s backend active and its error unchanged',
  async (t) => {
    await tf.setBackend('cpu');
    const failure = new Error('of the user');
    const thrown = t.throws(() =>
      traceStep(
        ({ w }) => {
          tf.tidy(() => {
            tf.square(w!);
            throw failure;
          });
          return { state: {}, outputs: {} };
        },
        { w: vector },
        {},
      ),
    );
    t.is(thrown, failure);
    t.is(tf.getBackend(), 'cpu');
    t.is(tf.engine().state.scopeStack.length, 0);
  },
);

test.serial('a tensor of the user’s own backend is a constant and stays the user’s', async (t) => {
  await tf.setBackend('cpu');
  const mask = tf.tensor1d([1, 0, 1, 0]);
  const state = createState({});
  const step = await compileStep((_, { x }) => ({ state: {}, outputs: { y: tf.mul(x!, mask) } }), {
    state,
    inputs: { x: vector },
    engine: 'onnx-cpu',
  });
  const { y } = await step.run({ x: Float32Array.of(5, 6, 7, 8) });
  t.deepEqual([...y!], [5, 0, 7, 0]);
  t.deepEqual([...mask.dataSync()], [1, 0, 1, 0]);
  mask.dispose();
});

test('a custom gradient is traced like any other operation', (t) => {
  const double = tf.customGrad((x: unknown) => ({
    value: tf.square(x as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => tf.mul(dy, 42),
  }));
  const { graph } = traceStep(
    ({ w }) => ({ state: {}, outputs: { g: tf.grad((x) => double(x))(w!) } }),
    { w: vector },
    {},
  );
  t.true(operatorsOf(graph).includes('Mul'));
});

const refusals: Record<string, [step: StepFunction, message: RegExp]> = {
  'a kernel without a compiled form, by name': [
    ({ w }) => ({ state: {}, outputs: { y: tf.spectral.fft(tf.complex(w!, w!)) } }),
    /'Complex' at .*trace-step\.test\.ts:\d+.*can't be compiled.*tfjs-cpu/,
  ],
  'reading a tensor while tracing': [
    ({ w }) => ({ state: {}, outputs: { y: tf.mul(w!, w!.dataSync()[0]!) } }),
    /float32\[4\] was read at .*trace-step\.test\.ts:\d+.*traced.*output/,
  ],
  'a step that returns a promise': [
    (async () => ({ state: {}, outputs: {} })) as unknown as StepFunction,
    /synchronous/,
  ],
};

for (const [what, [step, message]] of Object.entries(refusals)) {
  test(`a step is refused for ${what}`, (t) => {
    t.throws(() => traceStep(step, { w: vector }, {}), { instanceOf: CannotCompileError, message });
  });
}

const mistakes: Record<string, [step: StepFunction, message: RegExp]> = {
  'updating an entry that there is not': [
    ({ w }) => ({ state: { v: w! }, outputs: {} }),
    /state 'v'.*there are: w/,
  ],
  'another shape than its entry has': [
    ({ w }) => ({ state: { w: tf.sum(w!) }, outputs: {} }),
    /'w' float32\[\].*float32\[4\]/,
  ],
  'another type than its entry has': [
    ({ w }) => ({ state: { w: tf.cast(w!, 'int32') }, outputs: {} }),
    /'w' int32\[4\].*float32\[4\]/,
  ],
  'an output that is undefined': [
    (_, inputs) => ({ state: {}, outputs: { y: inputs.nothing! } }),
    /output 'y' is undefined/,
  ],
  'returning something else': [() => ({}) as never, /must return \{ state, outputs \}/],
};

for (const [what, [step, message]] of Object.entries(mistakes)) {
  test(`a step is refused for ${what}`, (t) => {
    t.throws(() => traceStep(step, { w: vector }, {}), { instanceOf: TypeError, message });
  });
}
