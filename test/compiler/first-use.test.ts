import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { compile } from '../../compiler/index.ts';
import { CannotCompileError } from '../../errors.ts';
import { someNumbers } from './graphs.ts';

test.before(async () => {
  await tf.setBackend('cpu');
});

const matrix = { x: { shape: [2, 3], dtype: 'float32' } } as const;
const numbers = someNumbers(6, 1);
const input = () => tf.tensor2d(numbers, [2, 3]);

const optimizers: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.1, 0.9),
  adagrad: () => tf.train.adagrad(0.1),
  adadelta: () => tf.train.adadelta(0.1),
  adam: () => tf.train.adam(0.1),
  adamax: () => tf.train.adamax(0.1),
  rmsprop: () => tf.train.rmsprop(0.01, 0.9, 0.5, 1e-7, true),
};

for (const [name, create] of Object.entries(optimizers)) {
  test.serial(`${name} takes its first steps eagerly after a failed compilation`, async (t) => {
    const train = (optimizer: tf.Optimizer) => {
      const weights = tf.variable(tf.ones([3]));
      const minimize = (x: tf.Tensor) =>
        optimizer.minimize(() => tf.sum(tf.square(tf.mul(weights, x))), true, [weights])!;
      return { weights, minimize };
    };
    const reference = train(create());
    const failed = train(create());
    const before = tf.memory().numTensors;
    await t.throwsAsync(
      compile(({ x }) => {
        failed.minimize(x);
        return tf.unique(tf.reshape(x, [6])).values;
      }, matrix),
      { instanceOf: CannotCompileError },
    );
    t.is(tf.memory().numTensors, before);
    for (let step = 0; step < 3; step++) {
      t.deepEqual(
        [...failed.minimize(input()).dataSync()],
        [...reference.minimize(input()).dataSync()],
      );
    }
    t.deepEqual([...failed.weights.dataSync()], [...reference.weights.dataSync()]);
  });
}

const unbuilt: Record<string, () => layers.layers.Layer> = {
  dense: () => layers.layers.dense({ units: 2 }),
  'batch normalisation': () => layers.layers.batchNormalization(),
  'a recurrent cell': () =>
    layers.layers.bidirectional({
      layer: layers.layers.lstm({ units: 2, recurrentInitializer: 'glorotUniform' }) as layers.RNN,
      mergeMode: 'concat',
    }),
};

for (const [name, create] of Object.entries(unbuilt)) {
  test.serial(`an unbuilt layer works eagerly after a failed compilation: ${name}`, async (t) => {
    const layer = create();
    const apply = (x: tf.Tensor) =>
      layer.apply(name.startsWith('a recurrent') ? tf.reshape(x, [1, 2, 3]) : x) as tf.Tensor;
    const before = tf.memory().numTensors;
    await t.throwsAsync(
      compile(({ x }) => ({ y: apply(x), z: tf.unique(tf.reshape(x, [6])).values }), matrix),
      { instanceOf: CannotCompileError },
    );
    t.is(tf.memory().numTensors, before);
    const eager = apply(input()).dataSync();
    t.true(eager.every(Number.isFinite));
    const step = await compile(({ x }) => apply(x), matrix);
    const { output } = await step.run({ x: numbers });
    for (const [index, value] of output!.entries()) t.true(Math.abs(value - eager[index]!) < 1e-6);
    await step.dispose();
  });
}

test.serial('the weights of an unbuilt layer are refused with the place and advice', async (t) => {
  const layer = layers.layers.dense({ units: 2 });
  const error = await t.throwsAsync(
    compile(({ x }) => layer.apply(x) as tf.Tensor, matrix),
    { instanceOf: CannotCompileError },
  );
  t.regex(
    error.message,
    /kernel' at .*first-use\.test\.ts:\d+:\d+.*build\(\) or apply\(\) the layer first/,
  );
  layer.build([null, 3]);
  const step = await compile(({ x }) => layer.apply(x) as tf.Tensor, matrix);
  t.is((await step.run({ x: numbers })).output!.length, 4);
  await step.dispose();
});
