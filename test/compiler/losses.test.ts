import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { compile } from '../../compiler/index.ts';
import { outputsOf } from './function-outputs.ts';
import { largestDifference, someNumbers } from './graphs.ts';

test.before(async () => {
  await tf.setBackend('cpu');
});

const { metrics } = layers;

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
  ...Object.fromEntries(
    [tf.Reduction.NONE, tf.Reduction.MEAN, tf.Reduction.SUM].map((reduction) => [
      `huberLoss, reduction ${tf.Reduction[reduction]}`,
      (a: tf.Tensor, b: tf.Tensor) => tf.losses.huberLoss(a, b, tf.abs(a), 0.2, reduction),
    ]),
  ),
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

/** What `model.compile` knows by name. */
const namedLosses = [
  'meanSquaredError',
  'meanAbsoluteError',
  'meanAbsolutePercentageError',
  'meanSquaredLogarithmicError',
  'squaredHinge',
  'hinge',
  'categoricalHinge',
  'logcosh',
  'categoricalCrossentropy',
  'sparseCategoricalCrossentropy',
  'binaryCrossentropy',
  'kullbackLeiblerDivergence',
  'poisson',
  'cosineProximity',
];

/** What `fit` calls for each batch: loss, regularisers, metrics and the optimizer, in one function. */
interface CompiledModel {
  makeTrainFunction(): (data: tf.Tensor[]) => tf.Tensor[];
}

for (const loss of namedLosses) {
  test.serial(`a model compiled by tfjs with the loss ${loss} trains as in tfjs`, async (t) => {
    const input = layers.input({ shape: [4] });
    const output = layers.layers
      .dense({ units: 3, activation: 'softmax', kernelRegularizer: 'l1l2' })
      .apply(input) as layers.SymbolicTensor;
    const model = layers.model({ inputs: input, outputs: output });
    model.compile({ optimizer: tf.train.sgd(0.1), loss, metrics: ['accuracy'] });
    const sparse = loss.startsWith('sparse');
    const signature = {
      x: { shape: [5, 4], dtype: 'float32' },
      y: { shape: [5, sparse ? 1 : 3], dtype: 'float32' },
    } as const;
    const y = sparse ? Float32Array.of(0, 1, 2, 1, 0) : someNumbers(15, 2).map(Math.abs);
    const results = [];
    for (const engine of ['onnx-cpu', 'tfjs-cpu'] as const) {
      const train = (model as unknown as CompiledModel).makeTrainFunction();
      const step = await compile(
        (inputs) => {
          const [total, accuracy] = train([inputs.x, inputs.y]);
          return { total: total!, accuracy: accuracy! };
        },
        signature,
        { engine },
      );
      const run = () => step.run({ x: someNumbers(20), y });
      results.push([await run(), await run()]);
      await step.dispose();
    }
    const [actual, expected] = results as [(typeof results)[0], (typeof results)[0]];
    t.not(expected[1]!.total![0], expected[0]!.total![0]);
    for (const index of [0, 1]) {
      for (const name of ['total', 'accuracy']) {
        const difference = largestDifference(actual[index]![name]!, expected[index]![name]!);
        t.true(difference < 1e-5, `${name}: ${difference}`);
      }
    }
    model.dispose();
  });
}
