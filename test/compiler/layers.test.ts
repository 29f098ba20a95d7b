import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { compile, type TensorData } from '../../compiler/index.ts';
import { sizeOf } from '../../compiler/tensor-spec.ts';
import { outputsOf } from './function-outputs.ts';
import { largestDifference, someNumbers } from './graphs.ts';
import { layerKinds, type Particulars } from './layer-kinds.ts';

test.before(async () => {
  await tf.setBackend('cpu');
});

/** Specification and values of a layer's inputs, `x0` and on. */
function inputsOf(shape: readonly number[], particulars: Particulars = {}) {
  const { batch = 3, inputs = 1, integersBelow } = particulars;
  const dtype = integersBelow === undefined ? 'float32' : 'int32';
  const spec = { shape: [batch, ...shape], dtype } as const;
  const names = Array.from({ length: inputs }, (_, index) => `x${index}`);
  const values = names.map((_, index): TensorData => {
    const numbers = someNumbers(sizeOf(spec.shape), index + 1);
    if (integersBelow === undefined) return numbers;
    return Int32Array.from(numbers, (x) => Math.floor(Math.abs(x) * integersBelow));
  });
  return {
    signature: Object.fromEntries(names.map((name) => [name, spec])),
    data: Object.fromEntries(names.map((name, index) => [name, values[index]!])),
  };
}

/** TensorFlow.js draws initial weights anew in each process: what is compared is to be the same in all. */
function setWeights(weights: readonly layers.LayerVariable[]): void {
  for (const [index, weight] of weights.entries()) {
    const numbers = someNumbers(sizeOf(weight.shape as number[]), index + 1);
    const values = numbers.map((x) => x / 2);
    tf.tidy(() => {
      weight.write(tf.tensor(values, weight.shape as number[]));
    });
  }
}

const one = <Each>(list: readonly Each[]): Each | Each[] =>
  list.length === 1 ? list[0]! : [...list];

for (const [name, [create, shape, particulars]] of Object.entries(layerKinds)) {
  const { gradient: hasGradient = true, integersBelow } = particulars ?? {};
  const { signature, data } = inputsOf(shape, particulars);

  test.serial(`layer ${name}: results and gradients are those of tfjs on the CPU`, async (t) => {
    const layer = create();
    tf.tidy(() => {
      const zeros = Object.values(signature).map((spec) => tf.zeros([...spec.shape], spec.dtype));
      layer.apply(one(zeros));
    });
    setWeights(layer.trainableWeights);
    const weights = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const differentiated = integersBelow === undefined ? Object.keys(signature).length : 0;
    const [actual, expected] = await outputsOf(
      (given) => {
        const inputs = Object.values(given);
        const result = layer.apply(one(inputs), { training: true }) as tf.Tensor;
        if (!hasGradient) return { result };
        const grads = tf.grads((...moved: tf.Tensor[]) => {
          const used = differentiated > 0 ? moved.slice(0, differentiated) : inputs;
          const y = layer.apply(one(used), { training: true }) as tf.Tensor;
          const pattern = tf.reshape(tf.linspace(-1, 2, y.size), y.shape);
          return tf.sum(tf.mul(tf.square(y), pattern));
        })([...inputs.slice(0, differentiated), ...weights]);
        return {
          result,
          ...Object.fromEntries(grads.map((gradient, i) => [`gradient${i}`, gradient])),
        };
      },
      signature,
      data,
    );
    const gradients = hasGradient ? differentiated + weights.length : 0;
    t.is(Object.keys(expected).length, 1 + gradients);
    for (const [output, values] of Object.entries(expected)) {
      const difference = largestDifference(actual[output]!, values, 1e-2);
      t.true(difference < 1e-5, `${output}: ${difference}`);
    }
    for (const variable of weights) variable.dispose();
  });
}

for (const [name, [create, shape, particulars]] of Object.entries(layerKinds)) {
  const { signature, data } = inputsOf(shape, particulars);
  test.serial(`layer ${name}: a model with it takes the steps that it takes in tfjs`, async (t) => {
    const specs = Object.values(signature);
    const symbols = specs.map((spec) =>
      layers.input({ batchShape: [...spec.shape], dtype: spec.dtype }),
    );
    const layer = create();
    const hidden = layer.apply(one(symbols)) as layers.SymbolicTensor;
    const flat =
      hidden.shape.length > 2
        ? (layers.layers.flatten().apply(hidden) as layers.SymbolicTensor)
        : hidden;
    const outputs = layers.layers.dense({ units: 2 }).apply(flat) as layers.SymbolicTensor;
    const model = layers.model({ inputs: one(symbols), outputs });
    setWeights(model.trainableWeights);
    // What has no gradient in tfjs can't learn, but what follows it can.
    if (particulars?.gradient === false) layer.trainable = false;
    const states = [];
    for (const engine of ['onnx-cpu', 'tfjs-cpu'] as const) {
      const optimizer = tf.train.momentum(0.1, 0.9);
      const step = await compile(
        (inputs) => ({
          loss: optimizer.minimize(() => {
            const y = model.apply(one(Object.values(inputs)), { training: true }) as tf.Tensor;
            return tf.mean(tf.square(tf.sub(y, 1))) as tf.Scalar;
          }, true)!,
        }),
        signature,
        { engine },
      );
      const losses = [];
      for (let i = 0; i < 3; i++) losses.push((await step.run(data)).loss![0]!);
      const names = Object.keys(step.state.specs).filter((each) => !each.includes('/momentum'));
      states.push({ losses, values: names.map((each) => [each, step.state.read(each)] as const) });
      await step.dispose();
      optimizer.dispose();
    }
    const [actual, expected] = states;
    t.true(largestDifference(actual!.losses, expected!.losses) < 1e-5);
    t.true(actual!.losses[2]! !== actual!.losses[0]!);
    t.true(expected!.values.length >= 3);
    for (const [index, [variable, values]] of expected!.values.entries()) {
      const difference = largestDifference(actual!.values[index]![1], values, 1e-2);
      t.true(difference < 1e-5, `${variable}: ${difference}`);
    }
    model.dispose();
  });
}

/** Names of one layer, what isn't one, and what tfjs itself can't train. */
const elsewhere = [
  ...['Layer', 'RNN', 'RNNCell', 'input', 'inputLayer', 'lstmCell', 'gruCell', 'simpleRNNCell'],
  ...['stackedRNNCells', 'convLstm2dCell'],
  // Other names of layers that are here.
  ...['avgPool1d', 'avgPool2d', 'avgPool3d', 'avgPooling1d', 'avgPooling2d', 'avgPooling3d'],
  ...['maxPool1d', 'maxPool2d', 'globalMaxPool1d', 'globalMaxPool2d'],
  // These prepare data: the first two read it as they go, and tfjs has no gradients for the others.
  ...['categoryEncoding', 'randomWidth', 'centerCrop', 'resizing'],
];

test('every layer of tf.layers is among these', (t) => {
  const kinds = Object.entries(layerKinds).map(([name, [create]]) => `${name} ${create}`);
  const missing = Object.keys(layers.layers).filter(
    (name) => !elsewhere.includes(name) && !kinds.some((kind) => kind.includes(`make.${name}(`)),
  );
  t.deepEqual(missing, []);
});
