import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { splitFrozenPart } from '../../compiler/frozen-part.ts';
import { compileStep, createState, type StepFunction } from '../../compiler/index.ts';
import { optimise } from '../../compiler/optimise.ts';
import { traceStep } from '../../compiler/trace-step.ts';
import { largestDifference, operatorsOf, someNumbers } from './graphs.ts';

/** A teacher with a memory of its own, and a student that learns what it says. */
const specs = {
  'teacher/weights': { shape: [8, 8], dtype: 'float32' },
  'teacher/bias': { shape: [8], dtype: 'float32' },
  'teacher.memory': { shape: [4, 8], dtype: 'float32' },
  'student/weights': { shape: [8, 8], dtype: 'float32' },
  steps: { shape: [], dtype: 'float32' },
} as const;
const inputs = { x: { shape: [4, 8], dtype: 'float32' } } as const;

const step: StepFunction = (state, { x }) => {
  const [examples, weights] = [x as tf.Tensor2D, state['student/weights'] as tf.Tensor2D];
  const memory = tf.add<tf.Tensor2D>(state['teacher.memory']!, examples);
  const read = tf.matMul(memory, state['teacher/weights'] as tf.Tensor2D);
  const said = tf.tanh(tf.add(read, state['teacher/bias']!));
  const error = tf.sub<tf.Tensor2D>(tf.matMul(examples, weights), said as tf.Tensor2D);
  const flat = [error, said].map((each) => tf.reshape(each, [32]));
  const gradient = tf.matMul(examples, error, true);
  return {
    state: {
      'teacher.memory': tf.mul(said, 0.5),
      'student/weights': tf.sub(weights, tf.mul(gradient, 0.01)),
      steps: tf.add(state.steps!, 1),
    },
    outputs: { said, loss: tf.mean(tf.square(error)), along: tf.sum(tf.mul(flat[0]!, flat[1]!)) },
  };
};

function split() {
  const { graph } = traceStep(step, specs, inputs);
  const int8Inputs = new Set(['state:teacher/weights']);
  const optimised = optimise(graph, { target: { channelBlock: 1 }, int8Inputs });
  const names = optimised.inputs.flatMap(({ values, scales }) => [values, scales]);
  return { whole: optimised.graph, parts: splitFrozenPart(optimised.graph, new Set(names)) };
}

test('what depends on frozen weights and nothing that is learnt is a part of its own', (t) => {
  const { parts } = split();
  const { frozen, rest } = parts!;
  t.true(operatorsOf(frozen).includes('DynamicQuantizeMatMul'));
  t.false(operatorsOf(rest).includes('DynamicQuantizeMatMul'));
  const shared = [...frozen.outputs.keys()].filter((name) => name.startsWith('frozen:'));
  t.deepEqual([...frozen.outputs.keys()].filter((name) => !name.startsWith('frozen:')).sort(), [
    'output:said',
    'state:teacher.memory',
  ]);
  t.deepEqual([...rest.outputs.keys()].sort(), [
    'output:along',
    'output:loss',
    'state:steps',
    'state:student/weights',
  ]);
  t.deepEqual(shared, ['frozen:0']);
  t.is(rest.inputs.get('frozen:0'), frozen.outputs.get('frozen:0'));
});

test('a step without frozen weights, or with nothing else, is left whole', (t) => {
  const { whole, parts } = split();
  t.is(splitFrozenPart(whole, new Set()), undefined);
  const { frozen } = parts!;
  const names = [...frozen.inputs.keys()].filter((name) => /^(int8|scales):/.test(name));
  t.is(splitFrozenPart(frozen, new Set(names)), undefined);
});

test('a step with a frozen part learns what the whole one does, also after an exchange', async (t) => {
  const prepare = async (int8Weights: readonly string[]) => {
    const state = createState(specs);
    for (const [index, name] of Object.keys(specs).entries()) {
      if (name === 'steps') continue;
      state.write(name, someNumbers(state.read(name).length, index + 1));
    }
    const compiled = await compileStep(step, { state, inputs, engine: 'onnx-cpu', int8Weights });
    return { state, compiled };
  };
  const exact = await prepare([]);
  const rounded = await prepare(['teacher/weights']);
  for (let turn = 0; turn < 6; turn++) {
    const x = someNumbers(4 * 8, 20 + turn);
    if (turn === 3) {
      for (const { state } of [exact, rounded]) {
        state.write('teacher/weights', someNumbers(8 * 8, 77));
      }
    }
    const expected = await exact.compiled.run({ x });
    const actual = await rounded.compiled.run({ x });
    for (const name of ['said', 'loss']) {
      const difference = largestDifference(actual[name]!, expected[name]!);
      t.true(difference > 0 && difference < 0.05, `${name}: ${difference}`);
    }
  }
  t.deepEqual([...rounded.state.read('steps')], [6]);
  for (const name of ['teacher.memory', 'student/weights']) {
    const difference = largestDifference(rounded.state.read(name), exact.state.read(name));
    t.true(difference > 0 && difference < 0.05, `${name}: ${difference}`);
  }
  for (const { state, compiled } of [exact, rounded]) {
    await compiled.dispose();
    state.dispose();
  }
});

test('a large value is handed over in 16 bits', async (t) => {
  const [rows, columns] = [512, 2048];
  const large = {
    'teacher/weights': { shape: [8, columns], dtype: 'float32' },
    'student/weights': { shape: [8, columns], dtype: 'float32' },
  } as const;
  const examples = { x: { shape: [rows, 8], dtype: 'float32' } } as const;
  const distil: StepFunction = (state, { x }) => {
    const logitsOf = (who: string) =>
      tf.matMul(x as tf.Tensor2D, state[`${who}/weights`] as tf.Tensor2D);
    const error = tf.sub(tf.softmax(logitsOf('student')), tf.softmax(logitsOf('teacher')));
    const gradient = tf.matMul(x as tf.Tensor2D, error as tf.Tensor2D, true);
    return {
      state: { 'student/weights': tf.sub(state['student/weights']!, gradient) },
      outputs: { error },
    };
  };
  const { graph } = traceStep(distil, large, examples);
  const int8Inputs = new Set(['state:teacher/weights']);
  const { graph: whole, inputs: names } = optimise(graph, {
    target: { channelBlock: 1 },
    int8Inputs,
  });
  const weights = new Set(names.flatMap(({ values, scales }) => [values, scales]));
  const { frozen, rest } = splitFrozenPart(whole, weights)!;
  t.is(frozen.outputs.get('frozen:0')!.dtype, 'float16');
  t.is(rest.inputs.get('frozen:0'), frozen.outputs.get('frozen:0'));

  const run = async (int8Weights: readonly string[]) => {
    const state = createState(large);
    for (const [index, name] of Object.keys(large).entries()) {
      state.write(name, someNumbers(8 * columns, index + 1));
    }
    const options = { state, inputs: examples, engine: 'onnx-cpu', int8Weights } as const;
    const compiled = await compileStep(distil, options);
    const { error } = await compiled.run({ x: someNumbers(rows * 8, 9) });
    await compiled.dispose();
    state.dispose();
    return error!;
  };
  const difference = largestDifference(await run(['teacher/weights']), await run([]));
  t.true(difference > 0 && difference < 0.05, `${difference}`);
});
