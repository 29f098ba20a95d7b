import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { compile } from '../../compiler/index.ts';
import { largestDifference, someNumbers } from './graphs.ts';

test.before(async () => {
  await tf.setBackend('cpu');
});

const engine = 'onnx-cpu';

/** A regression with its data; each has variables of its own. */
function regression() {
  const weights = tf.variable(tf.tensor2d(someNumbers(12, 1), [4, 3]));
  const bias = tf.variable(tf.zeros([3]));
  const signature = {
    x: { shape: [5, 4], dtype: 'float32' },
    y: { shape: [5, 3], dtype: 'float32' },
  } as const;
  const inputs = { x: someNumbers(20, 2), y: someNumbers(15, 3) };
  const loss = (x: tf.Tensor, y: tf.Tensor) => {
    const predicted = tf.add(tf.matMul(x as tf.Tensor2D, weights as tf.Tensor2D), bias);
    return tf.losses.meanSquaredError(y, tf.tanh(predicted)) as tf.Scalar;
  };
  return { variables: [weights, bias], signature, inputs, loss };
}

/** Steps of eager TensorFlow.js, to compare with. */
function eagerSteps(
  { inputs, loss }: ReturnType<typeof regression>,
  optimizer: tf.Optimizer,
  steps: number,
): number[] {
  const [x, y] = [tf.tensor2d(inputs.x, [5, 4]), tf.tensor2d(inputs.y, [5, 3])];
  return Array.from({ length: steps }, () =>
    tf.tidy(() => optimizer.minimize(() => loss(x, y), true)!.dataSync()[0]!),
  );
}

const optimizers: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.1, 0.9),
  'nesterov momentum': () => tf.train.momentum(0.1, 0.9, true),
  adagrad: () => tf.train.adagrad(0.1),
  adadelta: () => tf.train.adadelta(0.1),
  adam: () => tf.train.adam(0.1),
  adamax: () => tf.train.adamax(0.1),
  rmsprop: () => tf.train.rmsprop(0.01, 0.9, 0.5),
  'centred rmsprop': () => tf.train.rmsprop(0.01, 0.9, 0.5, 1e-7, true),
};

for (const [name, create] of Object.entries(optimizers)) {
  test.serial(`tf.train: ${name} takes the steps that it takes in TensorFlow.js`, async (t) => {
    const [ours, theirs] = [regression(), regression()];
    const expected = eagerSteps(theirs, create(), 12);
    const optimizer = create();
    const step = await compile(
      ({ x, y }) => ({ loss: optimizer.minimize(() => ours.loss(x, y), true)! }),
      ours.signature,
      { engine },
    );
    for (const loss of expected) {
      const { loss: actual } = await step.run(ours.inputs);
      t.true(Math.abs(actual![0]! - loss) < 1e-5 * Math.max(1, loss), `${actual}, ${loss}`);
    }
    await step.sync();
    for (const [index, variable] of ours.variables.entries()) {
      const reference = theirs.variables[index]!.dataSync();
      t.true(largestDifference(variable.dataSync(), reference) < 1e-5);
    }
    await step.dispose();
    // What was written back is the user's own: eager training goes on from it.
    t.true(eagerSteps(ours, optimizer, 1)[0]! < expected[0]!);
    tf.dispose([ours.variables, theirs.variables]);
  });
}

test.serial('compiling and disposing leaves variables and memory as they were', async (t) => {
  const { variables, signature, loss } = regression();
  const optimizer = tf.train.sgd(0.1);
  const values = variables.map((variable) => [...variable.dataSync()]);
  const before = tf.memory();
  const step = await compile(
    ({ x, y }) => ({ loss: optimizer.minimize(() => loss(x, y), true)! }),
    signature,
    { engine },
  );
  await step.dispose();
  const after = tf.memory();
  t.is(after.numTensors, before.numTensors);
  t.is(after.numDataBuffers, before.numDataBuffers);
  t.is(after.numBytes, before.numBytes);
  t.deepEqual(
    variables.map((variable) => [...variable.dataSync()]),
    values,
  );
  tf.dispose(variables);
});

test.serial('a function may return a tensor, and read state without changing it', async (t) => {
  const scale = tf.variable(tf.tensor1d([2, 3]));
  const fn = await compile(({ x }) => tf.mul(x, scale), {
    x: { shape: [2], dtype: 'float32' },
  });
  const input = { x: Float32Array.of(10, 100) };
  t.deepEqual([...(await fn.run(input)).output!], [20, 300]);
  scale.assign(tf.tensor1d([1, 1]));
  t.deepEqual([...(await fn.run(input)).output!], [20, 300]);
  await fn.load();
  t.deepEqual([...(await fn.run(input)).output!], [10, 100]);
  await fn.dispose();
  scale.dispose();
});

for (const name of ['onnx-cpu', 'tfjs-cpu'] as const) {
  test.serial(`a variable that is returned has its new value at each run: ${name}`, async (t) => {
    const counter = tf.variable(tf.zeros([3]));
    const untouched = tf.variable(tf.ones([1]));
    const layer = layers.layers.dense({ units: 1, inputShape: [3], useBias: false });
    const model = layers.sequential({ layers: [layer] });
    const optimizer = tf.train.sgd(0.1);
    const step = await compile(
      ({ x }) => {
        counter.assign(tf.add(counter, x));
        optimizer.minimize(() => tf.mean(model.apply(tf.reshape(x, [1, 3])) as tf.Tensor), false);
        return { counter, copy: tf.clone(counter), untouched, kernel: layer.getWeights()[0]! };
      },
      { x: { shape: [3], dtype: 'float32' } },
      { engine: name },
    );
    const kernelName = Object.keys(step.state.specs).find((each) => each.endsWith('kernel'))!;
    for (let run = 1; run <= 3; run++) {
      const outputs = await step.run({ x: Float32Array.of(1, 2, 3) });
      t.deepEqual([...outputs.counter!], [run, 2 * run, 3 * run]);
      t.deepEqual(outputs.copy, outputs.counter);
      t.deepEqual([...outputs.kernel!], [...step.state.read(kernelName)]);
    }
    untouched.assign(tf.tensor1d([5]));
    await step.load();
    t.deepEqual([...(await step.run({ x: new Float32Array(3) })).untouched!], [5]);
    await step.dispose();
  });
}

test.serial('a second function works on the variables of the first', async (t) => {
  const { variables, signature, inputs, loss } = regression();
  const optimizer = tf.train.adam(0.1);
  const train = await compile(({ x, y }) => {
    optimizer.minimize(() => loss(x, y));
  }, signature);
  const score = await compile(({ x, y }) => ({ loss: loss(x, y) }), signature, {
    variablesOf: train,
  });
  const before = (await score.run(inputs)).loss![0]!;
  for (let i = 0; i < 20; i++) t.deepEqual(await train.run(inputs), {});
  t.true((await score.run(inputs)).loss![0]! < 0.5 * before);
  await score.dispose();
  await train.run(inputs);
  await t.throwsAsync(
    compile(() => tf.variable(tf.zeros([2])), {}, { variablesOf: train }),
    { instanceOf: TypeError, message: /variablesOf/ },
  );
  await train.dispose();
  tf.dispose(variables);
});

test.serial('functions with optimizers of their own share what a third one uses', async (t) => {
  const inputs = { x: Float32Array.of(1, 2, 3) };
  const signature = { x: { shape: [3], dtype: 'float32' } } as const;
  const build = () => {
    const [a, b] = [tf.variable(tf.ones([3])), tf.variable(tf.ones([3]))];
    const [first, second] = [tf.train.adam(0.1), tf.train.adam(0.1)];
    const product = (x: tf.Tensor) => tf.sum(tf.mul(tf.mul(a, b), x)) as tf.Scalar;
    return {
      up: (x: tf.Tensor) => first.minimize(() => product(x), true, [a])!,
      down: (x: tf.Tensor) => second.minimize(() => tf.neg(product(x)), true, [b])!,
    };
  };
  const eager = build();
  const { up, down } = build();
  const alone = await compile(({ x }) => up(x), signature, { engine });
  await t.throwsAsync(
    compile(({ x }) => down(x), signature, { engine, variablesOf: alone }),
    { instanceOf: TypeError, message: /a function that calls both, and give that as variablesOf/ },
  );
  await alone.dispose();
  const both = await compile(({ x }) => ({ up: up(x), down: down(x) }), signature, { engine });
  const options = { engine, variablesOf: both } as const;
  const compiled = [
    await compile(({ x }) => up(x), signature, options),
    await compile(({ x }) => down(x), signature, options),
  ];
  const x = tf.tensor1d(inputs.x);
  for (let run = 0; run < 4; run++) {
    for (const [index, step] of [eager.up, eager.down].entries()) {
      const { output } = await compiled[index]!.run(inputs);
      t.true(Math.abs(output![0]! - step(x).dataSync()[0]!) < 1e-5);
    }
  }
  for (const each of [...compiled, both]) await each.dispose();
});

test.serial('a sequential model with convolutions, normalisation and dropout trains', async (t) => {
  const build = () =>
    layers.sequential({
      layers: [
        layers.layers.conv2d({
          inputShape: [8, 8, 1],
          filters: 4,
          kernelSize: 3,
          activation: 'relu',
          kernelInitializer: layers.initializers.glorotUniform({ seed: 1 }),
        }),
        layers.layers.batchNormalization(),
        layers.layers.maxPooling2d({ poolSize: 2 }),
        layers.layers.flatten(),
        layers.layers.dropout({ rate: 0.25 }),
        layers.layers.dense({
          units: 3,
          activation: 'softmax',
          kernelInitializer: layers.initializers.glorotUniform({ seed: 2 }),
        }),
      ],
    });
  const inputs = {
    x: someNumbers(6 * 64),
    y: Float32Array.from({ length: 18 }, (_, i) => Number(i % 3 === Math.floor(i / 3) % 3)),
  };
  const run = async (name: 'onnx-cpu' | 'tfjs-cpu') => {
    const model = build();
    const optimizer = tf.train.adam(0.01);
    const step = await compile(
      ({ x, y }) => {
        const objective = () => {
          const predicted = model.apply(x, { training: true }) as tf.Tensor;
          return tf.mean(layers.metrics.categoricalCrossentropy(y, predicted)) as tf.Scalar;
        };
        return { loss: optimizer.minimize(objective, true)! };
      },
      {
        x: { shape: [6, 8, 8, 1], dtype: 'float32' },
        y: { shape: [6, 3], dtype: 'float32' },
      },
      { engine: name, seed: 7 },
    );
    const losses: number[] = [];
    for (let i = 0; i < 200; i++) losses.push((await step.run(inputs)).loss![0]!);
    await step.sync();
    const weights = model.getWeights().map((weight) => weight.dataSync());
    await step.dispose();
    model.dispose();
    return { losses, weights };
  };
  // The same masks, bit for bit, so the same curve.
  const actual = await run('onnx-cpu');
  const expected = await run('tfjs-cpu');
  t.true(largestDifference(actual.losses, expected.losses) < 1e-4);
  t.is(actual.weights.length, 8);
  for (const [index, weights] of actual.weights.entries()) {
    t.true(largestDifference(weights, expected.weights[index]!) < 1e-3, `weight ${index}`);
  }
  t.true(actual.losses.at(-1)! < 0.6 * actual.losses[0]!);
});

test.serial('a functional model with recurrent layers and embeddings trains', async (t) => {
  const input = layers.input({ shape: [6], dtype: 'int32' });
  const embedded = layers.layers.embedding({ inputDim: 9, outputDim: 5 }).apply(input);
  const first = layers.layers
    .gru({ units: 6, returnSequences: true, recurrentInitializer: 'glorotUniform' })
    .apply(embedded);
  const second = layers.layers.bidirectional({
    layer: layers.layers.lstm({ units: 4, recurrentInitializer: 'glorotUniform' }) as layers.RNN,
    mergeMode: 'concat',
  });
  const normalised = layers.layers.layerNormalization().apply(second.apply(first));
  const output = layers.layers.dense({ units: 9 }).apply(normalised);
  const model = layers.model({ inputs: input, outputs: output as layers.SymbolicTensor });
  const optimizer = tf.train.rmsprop(0.01);
  const step = await compile(
    ({ tokens, next }) => {
      const objective = () => {
        const logits = model.apply(tokens, { training: true }) as tf.Tensor;
        const targets = tf.oneHot(next as tf.Tensor1D, 9);
        return tf.losses.softmaxCrossEntropy(targets, logits) as tf.Scalar;
      };
      return { loss: optimizer.minimize(objective, true)! };
    },
    { tokens: { shape: [4, 6], dtype: 'int32' }, next: { shape: [4], dtype: 'int32' } },
    { engine },
  );
  const inputs = {
    tokens: Int32Array.from({ length: 24 }, (_, i) => (5 * i) % 9),
    next: Int32Array.of(1, 8, 3, 3),
  };
  const losses: number[] = [];
  for (let i = 0; i < 60; i++) losses.push((await step.run(inputs)).loss![0]!);
  t.true(losses.at(-1)! < 0.3 * losses[0]!, `${losses[0]} to ${losses.at(-1)}`);
  await step.dispose();
  model.dispose();
});

test.serial('random numbers have the distribution asked for, anew at each run', async (t) => {
  const fn = await compile(
    () => ({
      uniform: tf.randomUniform([40_000], -3, 5),
      normal: tf.randomNormal([40_000], 10, 0.5),
      truncated: tf.truncatedNormal([40_000], -1, 2),
      dropped: tf.dropout(tf.ones([40_000]), 0.3),
      fixed: tf.randomUniform([5], 0, 1, 'float32', 42),
    }),
    {},
    { engine, seed: 3 },
  );
  const first = await fn.run({});
  const second = await fn.run({});
  const momentsOf = (values: ArrayLike<number>) => {
    const all = Array.from(values);
    const mean = all.reduce((sum, x) => sum + x, 0) / all.length;
    const variance = all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / all.length;
    return { mean, deviation: Math.sqrt(variance), low: Math.min(...all), high: Math.max(...all) };
  };
  const close = (actual: number, expected: number) => Math.abs(actual - expected) < 0.03;
  const uniform = momentsOf(first.uniform!);
  t.true(close(uniform.mean, 1) && close(uniform.deviation, 8 / Math.sqrt(12)));
  t.true(uniform.low >= -3 && uniform.low < -2.99 && uniform.high < 5 && uniform.high > 4.99);
  const normal = momentsOf(first.normal!);
  t.true(close(normal.mean, 10) && close(normal.deviation, 0.5) && normal.high > 11.5);
  // A normal distribution cut at two deviations has 0.8796 of the deviation.
  const truncated = momentsOf(first.truncated!);
  t.true(close(truncated.mean, -1) && close(truncated.deviation, 2 * 0.8796));
  t.true(truncated.low >= -5 && truncated.high <= 3);
  t.true(close(momentsOf(first.dropped!).mean, 1));
  t.deepEqual([...new Set(first.dropped)].sort(), [0, Math.fround(1 / 0.7)]);
  for (const name of ['uniform', 'normal', 'truncated', 'dropped']) {
    t.notDeepEqual(first[name], second[name]);
  }
  // A seed of its own gives the same numbers at each call, as it does in TensorFlow.js.
  t.deepEqual(first.fixed, second.fixed);
  t.deepEqual([...first.fixed!], [...tf.randomUniform([5], 0, 1, 'float32', 42).dataSync()]);
  await fn.dispose();
});

test.serial('the seed, the call and nothing else decide the numbers', async (t) => {
  const build = (seed: number, name: 'onnx-cpu' | 'tfjs-cpu') =>
    compile(() => tf.randomNormal([50]), {}, { engine: name, seed });
  const functions = await Promise.all([
    build(1, 'onnx-cpu'),
    build(1, 'tfjs-cpu'),
    build(2, 'onnx-cpu'),
  ]);
  const runs = [];
  for (const fn of functions) runs.push([await fn.run({}), await fn.run({})]);
  t.deepEqual(runs[0], runs[1]);
  t.notDeepEqual(runs[0], runs[2]);
  // The count of calls is state: whoever brings it back goes on with the same numbers.
  functions[0]!.state.read('random:calls').fill(1);
  t.deepEqual(await functions[0]!.run({}), runs[0]![1]);
  for (const fn of functions) await fn.dispose();
});
