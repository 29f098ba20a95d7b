import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { exportOnnx, type NamedTensors } from '../../compiler/index.ts';

const weights: NamedTensors = {
  v0: { shape: [2, 2], dtype: 'float32', data: Float32Array.of(1, 2, 3, 4) },
  bias: { shape: [2], dtype: 'float32', data: Float32Array.of(10, 20) },
  unused: { shape: [1], dtype: 'float32', data: Float32Array.of(5) },
};
const inputs = { x: { shape: [1, 2], dtype: 'float32' } } as const;

test('a function becomes a model that onnxruntime runs, with names as the function has them', async (t) => {
  const model = exportOnnx(
    (w, { x }) => {
      const y = tf.add(tf.matMul(x as tf.Tensor2D, w.v0 as tf.Tensor2D), w.bias!);
      return { y, positive: tf.greater(y, 15), v1: tf.relu(y) };
    },
    { weights, inputs },
  );
  const session = await InferenceSession.create(model);
  t.deepEqual([...session.inputNames], ['x']);
  t.deepEqual([...session.outputNames], ['y', 'positive', 'v1']);
  const results = await session.run({ x: new Tensor('float32', Float32Array.of(1, -1), [1, 2]) });
  t.deepEqual([...(results.y!.data as Float32Array)], [8, 18]);
  t.deepEqual([...(results.positive!.data as Uint8Array)].map(Number), [0, 1]);
  t.deepEqual([...(results.v1!.data as Float32Array)], [8, 18]);
  await session.release();
});

test('a function may return one tensor, which the model calls output', async (t) => {
  const model = exportOnnx((w, { x }) => tf.mul(x!, w.bias!), { weights, inputs });
  const session = await InferenceSession.create(model);
  const results = await session.run({ x: new Tensor('float32', Float32Array.of(1, -1), [1, 2]) });
  t.deepEqual([...(results.output!.data as Float32Array)], [10, -20]);
  await session.release();
});

test('weights keep their names in the model, those that nothing reads are left out', (t) => {
  const fn = (w: Readonly<Record<string, tf.Tensor>>) => ({ y: tf.neg(w.bias!) });
  const model = Buffer.from(exportOnnx(fn, { weights, inputs: {} }));
  t.true(model.includes('bias'));
  t.false(model.includes('unused'));
  t.false(model.includes('com.microsoft'));
});

test('a name that is used twice is refused', (t) => {
  const fn = (_: unknown, { x }: Readonly<Record<string, tf.Tensor>>) => ({ bias: tf.neg(x!) });
  t.throws(() => exportOnnx(fn, { weights, inputs }), { instanceOf: TypeError, message: /'bias'/ });
});

test('weights that don’t fit their shapes are refused', (t) => {
  const wrong = { shape: [3], dtype: 'float32', data: new Float32Array(2) } as const;
  t.throws(() => exportOnnx(() => ({}), { weights: { wrong }, inputs }), {
    instanceOf: RangeError,
    message: /'wrong'/,
  });
});
