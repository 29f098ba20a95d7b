import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { splitFusedUpdates } from '../../compiler/fused-update.ts';
import {
  compileStep,
  createState,
  type StepFunction,
  type TensorSpec,
} from '../../compiler/index.ts';
import { traceStep } from '../../compiler/trace-step.ts';
import { largestDifference, operatorsOf, someNumbers } from './graphs.ts';

const SHAPE = [40, 30];
const weights: TensorSpec = { shape: SHAPE, dtype: 'float32' };

/** Adam with clipping, on the gradient of Σ (w·x)². */
const adam: StepFunction = (state, { x, rate }) => {
  const { w, m, v, step } = state as Record<'w' | 'm' | 'v' | 'step', tf.Tensor>;
  const gradient = tf.matMul(x as tf.Tensor2D, tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D));
  const norm = tf.sqrt(tf.sum(tf.square(gradient)));
  const clipped = tf.mul(gradient, tf.minimum(1, tf.div(1, norm)));
  const steps = tf.add(step, 1);
  const newM = tf.add(tf.mul(m, 0.9), tf.mul(clipped, 0.1));
  const newV = tf.add(tf.mul(v, 0.99), tf.mul(tf.square(clipped), 0.01));
  const corrected = tf.div(newV, tf.sub(1, tf.pow(0.99, steps)));
  const change = tf.div(tf.mul(newM, rate!), tf.add(tf.sqrt(corrected), 1e-8));
  return {
    state: { w: tf.sub(w, change), m: newM, v: newV, step: steps },
    outputs: { norm },
  };
};

const adamState = {
  w: weights,
  m: weights,
  v: weights,
  step: { shape: [], dtype: 'float32' },
} as const;
const adamInputs = {
  x: { shape: [40, 40], dtype: 'float32' },
  rate: { shape: [], dtype: 'float32' },
} as const;

test('an optimizer’s elementwise operations leave the graph as one pass', (t) => {
  const { graph } = traceStep(adam, adamState, adamInputs);
  const { graph: rest, updates } = splitFusedUpdates(graph);
  t.is(updates.length, 1);
  const [{ program, tensors }] = updates as [(typeof updates)[0]];
  t.deepEqual(tensors.filter((key) => key.startsWith('state:')).toSorted(), [
    'state:m',
    'state:v',
    'state:w',
  ]);
  // The gradient is all that has to be written for the update to read.
  t.is(tensors.length, 4);
  t.is(program.stores.length, 3);
  t.deepEqual(
    [...rest.outputs.keys()].filter((key) => key.startsWith('state:')),
    ['state:step'],
  );
  t.false(operatorsOf(rest).includes('Sub') && rest.nodes.length === graph.nodes.length);
  t.true(rest.nodes.length + program.instructions.length <= graph.nodes.length);
});

/** Runs a step several times natively and with tfjs; answers all state of both. */
async function runBoth(
  step: StepFunction,
  specs: Record<string, TensorSpec>,
  inputs: Record<string, TensorSpec>,
) {
  const results = await Promise.all(
    (['onnx-cpu', 'tfjs-cpu'] as const).map(async (engine) => {
      const state = createState(specs);
      for (const [index, name] of Object.keys(specs).entries()) {
        const view = state.read(name);
        if (view.length > 1) view.set(someNumbers(view.length, index + 7).map(Math.abs));
      }
      const compiled = await compileStep(step, { state, inputs, engine });
      for (let run = 0; run < 3; run++) {
        await compiled.run(
          Object.fromEntries(
            Object.entries(inputs).map(([name, { shape }], index) => {
              const size = shape.reduce((a, b) => a * b, 1);
              return [name, someNumbers(size, 10 * run + index + 1).map((n) => n / 4)];
            }),
          ),
        );
      }
      await compiled.dispose();
      return Object.fromEntries(Object.keys(specs).map((name) => [name, state.read(name).slice()]));
    }),
  );
  return { native: results[0]!, reference: results[1]! };
}

test('an optimizer gives the same state fused as operation by operation', async (t) => {
  const { native, reference } = await runBoth(adam, adamState, adamInputs);
  for (const name of Object.keys(adamState)) {
    t.true(largestDifference(native[name]!, reference[name]!) < 1e-5, name);
  }
});

test('fused operations have the bits of tfjs’s float32 where both are exact', async (t) => {
  const step: StepFunction = (state, { g }) => {
    const { w, v } = state as Record<'w' | 'v', tf.Tensor>;
    const newV = tf.add(tf.mul(v, 0.5), tf.square(g!));
    const change = tf.div(tf.maximum(g!, tf.neg(w)), tf.add(tf.sqrt(newV), 1e-3));
    return { state: { w: tf.sub(w, tf.minimum(change, tf.abs(g!))), v: newV }, outputs: {} };
  };
  const { native, reference } = await runBoth(step, { w: weights, v: weights }, { g: weights });
  t.deepEqual(native, reference);
});

test('an entry is read by all who need its old value before it is updated', async (t) => {
  const step: StepFunction = (state, { g }) => {
    const { w, average, copy, flat } = state as Record<
      'w' | 'average' | 'copy' | 'flat',
      tf.Tensor
    >;
    return {
      state: {
        w: tf.sub(w, g!),
        average: tf.add(tf.mul(average, 0.9), tf.mul(w, 0.1)),
        copy: tf.add(tf.mul(copy, 0.5), average),
        flat: tf.add(tf.mul(flat, 0.5), tf.reshape(w, [w.size])),
      },
      outputs: {},
    };
  };
  const flat: TensorSpec = { shape: [SHAPE[0]! * SHAPE[1]!], dtype: 'float32' };
  const specs = { w: weights, average: weights, copy: weights, flat };
  const { native, reference } = await runBoth(step, specs, { g: weights });
  t.deepEqual(native, reference);
});

test('a gradient is handed over as it is before it is reshaped', async (t) => {
  const [rows, columns] = SHAPE as [number, number];
  const step: StepFunction = (state, { x, y }) => {
    const gradient = tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D);
    return { state: { w: tf.sub(state.w!, tf.reshape(gradient, SHAPE)) }, outputs: {} };
  };
  const inputs = {
    x: { shape: [columns, 8], dtype: 'float32' },
    y: { shape: [8, rows], dtype: 'float32' },
  } as const;
  const { graph } = traceStep(step, { w: weights }, inputs);
  t.true(operatorsOf(graph).includes('Reshape'));
  t.false(operatorsOf(splitFusedUpdates(graph).graph).includes('Reshape'));
  const { native, reference } = await runBoth(step, { w: weights }, inputs);
  t.true(largestDifference(native.w!, reference.w!) < 1e-6);
});

test('entries may be exchanged, handed on and updated in the same step', async (t) => {
  const step: StepFunction = (state) => {
    const { a, b, c } = state as Record<'a' | 'b' | 'c', tf.Tensor>;
    return { state: { a: b, b: a, c: tf.add(c, a) }, outputs: { sum: tf.sum(c) } };
  };
  const { native, reference } = await runBoth(step, { a: weights, b: weights, c: weights }, {});
  for (const name of ['a', 'b', 'c']) t.deepEqual(native[name], reference[name], name);
});

test('a result that is an output or goes through other operations stays in the graph', async (t) => {
  const step: StepFunction = (state, { g }) => {
    const { w, u } = state as Record<'w' | 'u', tf.Tensor>;
    const next = tf.sub(w, g!);
    return {
      state: { w: next, u: tf.tanh(tf.add(u, next)) },
      outputs: { next },
    };
  };
  const { graph } = traceStep(step, { w: weights, u: weights }, { g: weights });
  t.deepEqual(splitFusedUpdates(graph).updates, []);
  const { native, reference } = await runBoth(step, { w: weights, u: weights }, { g: weights });
  t.true(largestDifference(native.w!, reference.w!) < 1e-6);
  t.true(largestDifference(native.u!, reference.u!) < 1e-6);
});

test('small entries, whole numbers and broadcast operands stay in the graph', (t) => {
  const step: StepFunction = (state, { row }) => {
    const { small, counts, wide } = state as Record<'small' | 'counts' | 'wide', tf.Tensor>;
    return {
      state: {
        small: tf.mul(small, 0.5),
        counts: tf.add(counts, tf.scalar(1, 'int32')),
        wide: tf.add(wide, row!),
      },
      outputs: {},
    };
  };
  const state = {
    small: { shape: [8], dtype: 'float32' },
    counts: { shape: [2000], dtype: 'int32' },
    wide: weights,
  } as const;
  const { graph } = traceStep(step, state, { row: { shape: [30], dtype: 'float32' } });
  t.deepEqual(splitFusedUpdates(graph).updates, []);
});

test('a step over the same state that needs more scratch memory leaves the others right', async (t) => {
  const wide = { shape: [300, 1000], dtype: 'float32' } as const;
  const state = createState({ w: weights, wide });
  const descend =
    (name: string): StepFunction =>
    (entries, { x }) => ({
      state: { [name]: tf.sub(entries[name]!, tf.tanh(x!)) },
      outputs: {},
    });
  const small = await compileStep(descend('w'), {
    state,
    inputs: { x: weights },
    engine: 'onnx-cpu',
  });
  const x = someNumbers(1200);
  await small.run({ x });
  const large = await compileStep(descend('wide'), {
    state,
    inputs: { x: wide },
    engine: 'onnx-cpu',
  });
  await large.run({ x: someNumbers(300_000) });
  await small.run({ x });
  t.true(
    largestDifference(
      state.read('w'),
      x.map((n) => -2 * Math.tanh(n)),
    ) < 1e-6,
  );
  t.true(
    largestDifference(
      state.read('wide'),
      someNumbers(300_000).map((n) => -Math.tanh(n)),
    ) < 1e-6,
  );
  await Promise.all([small.dispose(), large.dispose()]);
});

test.serial(
  'without WebAssembly memory the optimizer stays in the graph, with the same results',
  async (t) => {
    const { Memory } = WebAssembly;
    let fallback: ReturnType<typeof createState>;
    // What a state beyond 4 GiB, or a host that limits address space, comes to.
    WebAssembly.Memory = class {
      constructor() {
        throw new RangeError('could not allocate memory');
      }
    } as unknown as typeof Memory;
    try {
      fallback = createState(adamState);
    } finally {
      WebAssembly.Memory = Memory;
    }
    const usual = createState(adamState);
    const inputs = { x: someNumbers(1600), rate: Float32Array.of(0.1) };
    for (const state of [fallback, usual]) {
      state.read('w').set(someNumbers(1200, 5));
      const step = await compileStep(adam, { state, inputs: adamInputs, engine: 'onnx-cpu' });
      for (let run = 0; run < 3; run++) await step.run(inputs);
      await step.dispose();
    }
    t.false(fallback.read('w').every((weight, i) => weight === someNumbers(1200, 5)[i]));
    for (const name of Object.keys(adamState)) {
      t.true(largestDifference(fallback.read(name), usual.read(name)) < 1e-6, name);
    }
  },
);
