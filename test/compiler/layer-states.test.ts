import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { compile } from '../../compiler/index.ts';
import { CannotCompileError } from '../../errors.ts';
import { largestDifference, someNumbers } from './graphs.ts';

test.before(async () => {
  await tf.setBackend('cpu');
});

const [batch, time, width] = [2, 3, 2];
const signature = {
  x: { shape: [batch, time, width], dtype: 'float32' },
  y: { shape: [batch, 2], dtype: 'float32' },
} as const;
const inputsOf = (index: number) => ({
  x: someNumbers(batch * time * width, index + 1),
  y: someNumbers(batch * 2, index + 100),
});

const { layers: make } = layers;
const options = { units: 3, stateful: true, recurrentInitializer: 'glorotUniform' } as const;

const stateful: Record<string, () => layers.layers.Layer> = {
  simpleRNN: () => make.simpleRNN(options),
  gru: () => make.gru({ ...options, returnSequences: true }),
  lstm: () => make.lstm(options),
  'rnn of stacked cells': () =>
    make.rnn({ cell: [make.lstmCell(options), make.gruCell(options)], stateful: true }),
};

/** A model whose layer remembers what it saw, with an optimizer. */
function makeModel(create: () => layers.layers.Layer) {
  const input = layers.input({ batchShape: [batch, time, width] });
  const hidden = create().apply(input) as layers.SymbolicTensor;
  const flat =
    hidden.shape.length > 2 ? (make.flatten().apply(hidden) as layers.SymbolicTensor) : hidden;
  const outputs = make.dense({ units: 2 }).apply(flat) as layers.SymbolicTensor;
  const model = layers.model({ inputs: input, outputs });
  const optimizer = tf.train.sgd(0.2);
  const train = ({ x, y }: Readonly<Record<'x' | 'y', tf.Tensor>>) => ({
    loss: optimizer.minimize(() => {
      const predicted = model.apply(x, { training: true }) as tf.Tensor;
      return tf.mean(tf.square(tf.sub(predicted, y))) as tf.Scalar;
    }, true)!,
  });
  return { model, train };
}

for (const [name, create] of Object.entries(stateful)) {
  test.serial(`a stateful ${name} goes on where it was, in steps and back in tfjs`, async (t) => {
    const [ours, theirs] = [makeModel(create), makeModel(create)];
    theirs.model.setWeights(ours.model.getWeights());
    const eager = (index: number) =>
      tf.tidy(() => {
        const { x, y } = inputsOf(index);
        const tensors = { x: tf.tensor(x, [batch, time, width]), y: tf.tensor(y, [batch, 2]) };
        return theirs.train(tensors).loss.dataSync()[0]!;
      });
    const step = await compile(ours.train, signature, { engine: 'onnx-cpu' });
    const compiled = async (index: number) => (await step.run(inputsOf(index))).loss![0]!;
    const close = (actual: number, expected: number) => Math.abs(actual - expected) < 1e-5;

    const losses = [eager(0), eager(1), eager(2)];
    t.true(close(await compiled(0), losses[0]!));
    t.true(close(await compiled(1), losses[1]!));
    t.true(close(await compiled(2), losses[2]!));

    await step.sync();
    const predict = (model: layers.LayersModel) =>
      tf.tidy(() => (model.predict(tf.ones([batch, time, width])) as tf.Tensor).dataSync());
    t.true(largestDifference(predict(ours.model), predict(theirs.model)) < 1e-5);

    // Sequences end: the states begin again at zero, the weights go on.
    ours.model.resetStates();
    theirs.model.resetStates();
    await step.load();
    const fresh = eager(3);
    t.true(close(await compiled(3), fresh));
    await step.run(inputsOf(4));
    t.false(close(await compiled(3), fresh), 'what was seen before makes a difference');

    await step.dispose();
    ours.model.dispose();
    theirs.model.dispose();
  });
}

test.serial('a stateful convLstm2d and a bidirectional layer remember', async (t) => {
  const shape = [1, 2, 3, 3, 1];
  const convolutional = make.convLstm2d({
    filters: 2,
    kernelSize: 2,
    stateful: true,
    recurrentInitializer: 'glorotUniform',
    batchInputShape: shape,
  });
  const both = make.bidirectional({
    layer: make.lstm(options) as layers.RNN,
    mergeMode: 'concat',
    batchInputShape: [batch, time, width],
  });
  for (const [layer, size] of [
    [convolutional, shape],
    [both, [batch, time, width]],
  ] as const) {
    const model = layers.sequential({ layers: [layer] });
    const count = size.reduce((product, each) => product * each);
    const x = someNumbers(count);
    const eager = () =>
      tf.tidy(() => (model.predict(tf.tensor(x, [...size])) as tf.Tensor).dataSync());
    const expected = [eager(), eager()];
    model.resetStates();
    const spec = { shape: size, dtype: 'float32' } as const;
    const fn = await compile((given) => model.apply(given.x) as tf.Tensor, { x: spec });
    for (const values of expected) {
      t.true(largestDifference((await fn.run({ x })).output!, values) < 1e-5);
    }
    t.true(largestDifference(expected[0]!, expected[1]!) > 1e-3);
    await fn.dispose();
    model.dispose();
  }
});

test.serial('compiling leaves a stateful layer and tfjs’s memory as they were', async (t) => {
  const { model, train } = makeModel(stateful.lstm!);
  const predict = () =>
    tf.tidy(() => (model.predict(tf.ones([batch, time, width])) as tf.Tensor).dataSync());
  const first = predict();
  model.resetStates();
  const { numTensors, numDataBuffers } = tf.memory();
  const step = await compile(train, signature, { engine: 'onnx-cpu' });
  for (let i = 0; i < 3; i++) await step.run(inputsOf(i));
  await step.dispose();
  t.is(tf.memory().numTensors, numTensors);
  t.is(tf.memory().numDataBuffers, numDataBuffers);
  t.deepEqual(predict(), first);
  model.dispose();
});

test.serial('a tensor that a function keeps for itself is refused, with the place', async (t) => {
  const kept: tf.Tensor[] = [];
  const { numTensors } = tf.memory();
  await t.throwsAsync(
    compile(({ x }) => {
      kept.push(tf.keep(tf.square(x)));
      return x;
    }, signature),
    {
      instanceOf: CannotCompileError,
      message: /keeps a tensor .*at .*layer-states\.test\.ts:\d+:\d+.*output.*tf\.Variable/,
    },
  );
  t.is(tf.memory().numTensors, numTensors);
});
