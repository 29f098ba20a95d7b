import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { compile, type TensorFunction, type TensorSpec } from '../../compiler/index.ts';
import { sizeOf } from '../../compiler/tensor-spec.ts';
import { largestDifference, someNumbers } from './graphs.ts';

test.before(async () => {
  await tf.setBackend('cpu');
});

const { layers: make, metrics } = layers;
/** The default of recurrent layers needs operations as methods, which are another package's. */
const recurrent = { units: 3, recurrentInitializer: 'glorotUniform' } as const;

interface Particulars {
  readonly batch?: number;
  /** TensorFlow.js has none for it. */
  readonly gradient?: false;
}

/** Every kind of layer that learns, regularises or moves data, with the shape of one example. */
const kinds: Record<
  string,
  [layer: () => layers.layers.Layer, shape: readonly number[], particulars?: Particulars]
> = {
  dense: [() => make.dense({ units: 3, activation: 'tanh' }), [4]],
  'dense over sequences': [() => make.dense({ units: 3, activation: 'relu' }), [5, 4]],
  conv1d: [() => make.conv1d({ filters: 3, kernelSize: 3, padding: 'same' }), [6, 2]],
  conv2d: [() => make.conv2d({ filters: 3, kernelSize: 3, activation: 'elu' }), [6, 6, 2]],
  'conv2d with strides': [() => make.conv2d({ filters: 3, kernelSize: 3, strides: 2 }), [7, 7, 2]],
  conv2dTranspose: [
    () => make.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, padding: 'same' }),
    [4, 4, 2],
  ],
  conv3d: [() => make.conv3d({ filters: 2, kernelSize: 2 }), [3, 4, 4, 2]],
  conv3dTranspose: [
    () => make.conv3dTranspose({ filters: 2, kernelSize: 2 }),
    [2, 3, 3, 2],
    { gradient: false },
  ],
  maxPooling3d: [() => make.maxPooling3d({ poolSize: 2 }), [4, 4, 4, 2]],
  averagePooling3d: [() => make.averagePooling3d({ poolSize: 2 }), [4, 4, 4, 2]],
  convLstm2d: [
    () =>
      make.convLstm2d({
        filters: 2,
        kernelSize: 2,
        recurrentInitializer: 'glorotUniform',
      }),
    [2, 4, 4, 1],
  ],
  depthwiseConv2d: [() => make.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2 }), [5, 5, 2]],
  separableConv2d: [() => make.separableConv2d({ filters: 3, kernelSize: 3 }), [5, 5, 2]],
  // For more than one image tfjs's own gradient on the CPU is wrong.
  upSampling2d: [() => make.upSampling2d({ size: [2, 3] }), [3, 3, 2], { batch: 1 }],
  'upSampling2d, bilinear': [() => make.upSampling2d({ interpolation: 'bilinear' }), [3, 3, 2]],
  zeroPadding2d: [() => make.zeroPadding2d({ padding: [1, 2] }), [3, 3, 2]],
  cropping2D: [
    () =>
      make.cropping2D({
        cropping: [
          [1, 0],
          [0, 1],
        ],
      }),
    [4, 4, 2],
  ],
  maxPooling1d: [() => make.maxPooling1d({ poolSize: 2 }), [6, 3]],
  averagePooling2d: [() => make.averagePooling2d({ poolSize: 2 }), [4, 4, 2]],
  maxPooling2d: [() => make.maxPooling2d({ poolSize: 3, strides: 2 }), [7, 7, 2]],
  globalAveragePooling2d: [() => make.globalAveragePooling2d({}), [4, 4, 3]],
  globalMaxPooling1d: [() => make.globalMaxPooling1d({}), [5, 3]],
  batchNormalization: [() => make.batchNormalization(), [5]],
  'batchNormalization of images': [() => make.batchNormalization(), [4, 4, 3]],
  layerNormalization: [() => make.layerNormalization(), [4, 5]],
  simpleRNN: [() => make.simpleRNN(recurrent), [4, 2]],
  gru: [() => make.gru({ ...recurrent, returnSequences: true }), [4, 2]],
  lstm: [() => make.lstm(recurrent), [4, 2]],
  'lstm with dropout': [() => make.lstm({ ...recurrent, dropout: 0.3 }), [4, 2]],
  bidirectional: [
    () => make.bidirectional({ layer: make.lstm(recurrent) as layers.RNN, mergeMode: 'sum' }),
    [4, 2],
  ],
  timeDistributed: [() => make.timeDistributed({ layer: make.dense({ units: 2 }) }), [4, 3]],
  dropout: [() => make.dropout({ rate: 0.4 }), [20]],
  'dropout with a shape': [() => make.dropout({ rate: 0.4, noiseShape: [3, 1, 3] }), [4, 3]],
  spatialDropout1d: [() => make.spatialDropout1d({ rate: 0.4 }), [4, 6]],
  gaussianNoise: [() => make.gaussianNoise({ stddev: 0.3 }), [10]],
  gaussianDropout: [() => make.gaussianDropout({ rate: 0.3 }), [10]],
  alphaDropout: [() => make.alphaDropout({ rate: 0.3 }), [10]],
  flatten: [() => make.flatten(), [3, 2]],
  reshape: [() => make.reshape({ targetShape: [3, 2] }), [6]],
  permute: [() => make.permute({ dims: [2, 1] }), [3, 2]],
  repeatVector: [() => make.repeatVector({ n: 3 }), [4]],
  masking: [() => make.masking({ maskValue: 0 }), [4, 2], { gradient: false }],
  prelu: [() => make.prelu({ alphaInitializer: 'ones' }), [4]],
  elu: [() => make.elu(), [4]],
  leakyReLU: [() => make.leakyReLU({ alpha: 0.1 }), [4]],
  thresholdedReLU: [() => make.thresholdedReLU({ theta: 0.2 }), [4], { gradient: false }],
  reLU: [() => make.reLU({ maxValue: 0.5 }), [4]],
  softmax: [() => make.softmax(), [4]],
  ...Object.fromEntries(
    [
      'hardSigmoid',
      'linear',
      'relu6',
      'selu',
      'sigmoid',
      'softplus',
      'softsign',
      'swish',
      'mish',
      'gelu',
    ].map((activation) => [
      `the activation ${activation}`,
      [() => make.activation({ activation: activation as 'relu' }), [6]] as const,
    ]),
  ),
};

/** Runs a function on both engines, from the same state and with the same random numbers. */
async function outputsOf(
  fn: TensorFunction,
  signature: Record<string, TensorSpec>,
  inputs: Record<string, Float32Array>,
) {
  const outputs = [];
  for (const engine of ['onnx-cpu', 'tfjs-cpu'] as const) {
    const compiled = await compile(fn, signature, { engine });
    outputs.push(await compiled.run(inputs));
    await compiled.dispose();
  }
  return outputs as [Record<string, Float32Array>, Record<string, Float32Array>];
}

for (const [name, [create, shape, particulars]] of Object.entries(kinds)) {
  const { batch = 3, gradient: hasGradient = true } = particulars ?? {};
  test.serial(`layer ${name}: results and gradients are those of tfjs on the CPU`, async (t) => {
    const layer = create();
    tf.tidy(() => void layer.apply(tf.zeros([batch, ...shape])));
    const weights = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const spec = { shape: [batch, ...shape], dtype: 'float32' } as const;
    const [actual, expected] = await outputsOf(
      ({ x }) => {
        const result = layer.apply(x!, { training: true }) as tf.Tensor;
        if (!hasGradient) return { result };
        const grads = tf.grads((...[input]: tf.Tensor[]) => {
          const y = layer.apply(input!, { training: true }) as tf.Tensor;
          const pattern = tf.reshape(tf.linspace(-1, 2, y.size), y.shape);
          return tf.sum(tf.mul(tf.square(y), pattern));
        })([x!, ...weights]);
        return {
          result,
          ...Object.fromEntries(grads.map((gradient, i) => [`gradient${i}`, gradient])),
        };
      },
      { x: spec },
      { x: someNumbers(sizeOf(spec.shape)) },
    );
    t.is(Object.keys(expected).length, hasGradient ? 2 + weights.length : 1);
    for (const [output, values] of Object.entries(expected)) {
      const difference = largestDifference(actual[output]!, values, 1e-2);
      t.true(difference < 1e-5, `${output}: ${difference}`);
    }
    for (const variable of weights) variable.dispose();
  });
}

const rows = [6, 4];

const losses: Record<string, (targets: tf.Tensor, predictions: tf.Tensor) => tf.Tensor> = {
  absoluteDifference: tf.losses.absoluteDifference,
  cosineDistance: (a, b) => tf.losses.cosineDistance(a, b, 1),
  hingeLoss: tf.losses.hingeLoss,
  huberLoss: tf.losses.huberLoss,
  logLoss: tf.losses.logLoss,
  meanSquaredError: tf.losses.meanSquaredError,
  sigmoidCrossEntropy: tf.losses.sigmoidCrossEntropy,
  softmaxCrossEntropy: tf.losses.softmaxCrossEntropy,
  'softmaxCrossEntropy with smoothing': (a, b) => tf.losses.softmaxCrossEntropy(a, b, 1, 0.1),
  'weighted meanSquaredError': (a, b) => tf.losses.meanSquaredError(a, b, tf.abs(a)),
  categoricalCrossentropy: metrics.categoricalCrossentropy,
  binaryCrossentropy: metrics.binaryCrossentropy,
  meanAbsoluteError: metrics.meanAbsoluteError,
  meanAbsolutePercentageError: metrics.meanAbsolutePercentageError,
  cosineProximity: metrics.cosineProximity,
};

test.serial('all losses and their gradients are those of tfjs on the CPU', async (t) => {
  const spec = { shape: rows, dtype: 'float32' } as const;
  const [actual, expected] = await outputsOf(
    ({ x, y }) =>
      Object.fromEntries(
        Object.entries(losses).flatMap(([name, loss]) => {
          const targets = tf.add(0.1, tf.mul(0.8, tf.abs(y!)));
          const scalar = (z: tf.Tensor) => tf.sum(loss(targets, tf.sigmoid(z))) as tf.Scalar;
          return [
            [name, scalar(x!)],
            [`gradient of ${name}`, tf.grad(scalar)(x!)],
          ];
        }),
      ),
    { x: spec, y: spec },
    { x: someNumbers(24, 1), y: someNumbers(24, 2) },
  );
  t.is(Object.keys(expected).length, 2 * Object.keys(losses).length);
  for (const [name, values] of Object.entries(expected)) {
    t.true(largestDifference(actual[name]!, values) < 1e-5, name);
  }
});

test.serial('all metrics are those of tfjs on the CPU', async (t) => {
  const spec = { shape: rows, dtype: 'float32' } as const;
  const [actual, expected] = await outputsOf(
    ({ x, y }) => {
      const predictions = tf.softmax(x!);
      const classes = tf.argMax(y!, 1);
      const targets = tf.cast(tf.oneHot(classes as tf.Tensor1D, 4), 'float32');
      const sparse = tf.cast(classes, 'float32');
      return {
        binaryAccuracy: metrics.binaryAccuracy(targets, predictions),
        categoricalAccuracy: metrics.categoricalAccuracy(targets, predictions),
        sparseCategoricalAccuracy: metrics.sparseCategoricalAccuracy(sparse, predictions),
        precision: metrics.precision(targets, tf.round(predictions)),
        recall: metrics.recall(targets, tf.round(predictions)),
        confusion: tf.math.confusionMatrix(
          classes as tf.Tensor1D,
          tf.argMax(predictions, 1) as tf.Tensor1D,
          4,
        ),
      };
    },
    { x: spec, y: spec },
    { x: someNumbers(24, 1), y: someNumbers(24, 2) },
  );
  t.is(Object.keys(expected).length, 6);
  for (const [name, values] of Object.entries(expected)) {
    t.true(largestDifference(actual[name]!, values) < 1e-5, name);
  }
});
