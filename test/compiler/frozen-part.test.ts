import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { splitFrozenPart, wholeOf } from '../../compiler/frozen-part.ts';
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
  t.deepEqual(shared, ['frozen:0/0']);
  t.is(wholeOf('frozen:0/0'), 'frozen:0');
  t.is(rest.inputs.get('frozen:0'), frozen.outputs.get('frozen:0/0'));
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

test('rows are handed over step by step of a recurrence, and the rest has them as one', async (t) => {
  const [steps, rows, columns] = [3, 32, 40];
  const recurrent = {
    'teacher/weights': { shape: [columns, columns], dtype: 'float32' },
    'student/weights': { shape: [columns, columns], dtype: 'float32' },
  } as const;
  const examples = { x: { shape: [rows, columns], dtype: 'float32' } } as const;
  const distil: StepFunction = (state, { x }) => {
    const weights = state['teacher/weights'] as tf.Tensor2D;
    let last = x as tf.Tensor2D;
    const hidden = Array.from({ length: steps }, () => {
      last = tf.tanh(tf.matMul(last, weights));
      return last;
    });
    const said = tf.softmax(tf.matMul(tf.concat2d(hidden, 0), weights));
    const own = tf.tile(tf.matMul(x as tf.Tensor2D, state['student/weights'] as tf.Tensor2D), [
      steps,
      1,
    ]);
    const error = tf.sub<tf.Tensor2D>(own, said);
    return {
      state: {
        'student/weights': tf.sub(
          state['student/weights']!,
          tf.matMul(tf.tile(x as tf.Tensor2D, [steps, 1]), error, true),
        ),
      },
      outputs: { error },
    };
  };
  const { graph } = traceStep(distil, recurrent, examples);
  const int8Inputs = new Set(['state:teacher/weights']);
  const { graph: whole, inputs: names } = optimise(graph, {
    target: { channelBlock: 1 },
    int8Inputs,
  });
  const weights = new Set(names.flatMap(({ values, scales }) => [values, scales]));
  const { frozen, rest } = splitFrozenPart(whole, weights)!;
  t.deepEqual([...frozen.outputs.keys()], ['frozen:0/0', 'frozen:0/1', 'frozen:0/2']);
  t.deepEqual(rest.inputs.get('frozen:0')!.shape, [steps * rows, columns]);
  t.false(operatorsOf(frozen).includes('Concat'));

  const run = async (int8Weights: readonly string[]) => {
    const state = createState(recurrent);
    for (const [index, name] of Object.keys(recurrent).entries()) {
      state.write(name, someNumbers(columns * columns, index + 1));
    }
    const options = { state, inputs: examples, engine: 'onnx-cpu', int8Weights } as const;
    const compiled = await compileStep(distil, options);
    const x = someNumbers(rows * columns, 9);
    const errors = [];
    for (let turn = 0; turn < 3; turn++) errors.push(...(await compiled.run({ x })).error!);
    await compiled.dispose();
    state.dispose();
    return errors;
  };
  const difference = largestDifference(await run(['teacher/weights']), await run([]));
  t.true(difference > 0 && difference < 0.05, `${difference}`);
});
