import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { compileStep, createState } from '../../compiler/index.ts';
import { quantiseColumns } from '../../compiler/quantised-weights.ts';
import { largestDifference, someNumbers } from './graphs.ts';

test('each column has steps of its own size, symmetric about zero', (t) => {
  const source = Float32Array.of(1, 0, -63, 0.25, 0, 126, -0.5, 0, 31.6);
  const values = new Int8Array(9);
  const scales = new Float32Array(3);
  quantiseColumns(source, { values, scales });
  t.deepEqual([...scales], [Math.fround(1 / 63), 1, 2]);
  t.deepEqual([...values], [63, 0, -31, 16, 0, 63, -31, 0, 16]);
});

test('a column with NaN or infinity has no scale', (t) => {
  const source = Float32Array.of(1, NaN, Infinity, 2, 5, 1, 63, 1, 1);
  const values = new Int8Array(9);
  const scales = new Float32Array(3);
  quantiseColumns(source, { values, scales });
  t.deepEqual([...scales], [1, NaN, NaN]);
});

const specs = {
  w: { shape: [32, 8], dtype: 'float32' },
  b: { shape: [8], dtype: 'float32' },
} as const;
const inputs = { x: { shape: [4, 32], dtype: 'float32' } } as const;
const step = ({ w, b }: Record<string, tf.Tensor>, { x }: Record<string, tf.Tensor>) => ({
  state: {},
  outputs: { y: tf.add(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), b!) },
});

test('a step with int8 weights is near to the f32 one and follows what is written', async (t) => {
  const state = createState(specs);
  const x = someNumbers(128, 3);
  state.write('b', someNumbers(8, 2));
  const exact = await compileStep(step as never, { state, inputs, engine: 'onnx-cpu' });
  const rounded = await compileStep(step as never, {
    state,
    inputs,
    engine: 'onnx-cpu',
    int8Weights: ['w'],
  });
  for (const seed of [1, 5]) {
    state.write('w', someNumbers(256, seed));
    const { y: expected } = await exact.run({ x });
    const { y } = await rounded.run({ x });
    const difference = largestDifference(y!, expected!);
    t.true(difference > 0 && difference < 0.03, `${difference}`);
  }
  // What would have no end in f32 shows here, too.
  const broken = someNumbers(256, 1);
  broken[5] = NaN;
  state.write('w', broken);
  const { y } = await rounded.run({ x });
  t.deepEqual(
    [...y!].map(Number.isNaN),
    [...y!.keys()].map((index) => index % 8 === 5),
  );
  await exact.dispose();
  await rounded.dispose();
  state.dispose();
});
