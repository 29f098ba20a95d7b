import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import type { TensorMap } from '../../compiler/index.ts';
import { forward, type LanguageModelConfig, recurrentStateShapes } from '../../training/index.ts';
import { languageModelEvaluation } from './language-model-steps.ts';
import { close, mapValues, parameterTensors, randomTokens, tinyModel } from './tensors.ts';

const coin: LanguageModelConfig = {
  vocabularySize: 2,
  embeddingSize: 1,
  hiddenSize: 2,
  layers: 1,
};

/** Models whose weights are all zero but for the output's bias always predict these. */
function constantModels(predictions: readonly (readonly number[])[]) {
  const config = { models: predictions.map(() => coin), batch: 1, time: 2 };
  const evaluation = languageModelEvaluation(config);
  const state = mapValues(evaluation.state, ({ shape }) => tf.zeros([...shape]));
  for (const [index, probabilities] of predictions.entries()) {
    state[`replica${index}/output/bias`] = tf.tensor1d(probabilities.map(Math.log));
  }
  return { ...evaluation, state };
}

const window: TensorMap = {
  tokens: tf.tensor2d([[0, 1]], [1, 2], 'int32'),
  targets: tf.tensor2d([[1, 0]], [1, 2], 'int32'),
};

test('losses, ensemble and disagreement of two replicas worked by hand', (t) => {
  const { step, state } = constantModels([
    [0.9, 0.1],
    [0.3, 0.7],
  ]);
  const { outputs } = step(state, window);
  const mean = (...probabilities: number[]) =>
    -probabilities.reduce((sum, one) => sum + Math.log(one), 0) / probabilities.length;
  close(t, outputs.losses!, [mean(0.1, 0.9), mean(0.7, 0.3)], 1e-6);
  close(t, outputs.ensembleLoss!, [mean(0.4, 0.6)], 1e-6);
  close(t, outputs.disagreement!, [0.6], 1e-6);
  close(t, outputs.topAgreement!, [0], 0);
});

test('three replicas are compared pair by pair', (t) => {
  const { step, state } = constantModels([
    [0.9, 0.1],
    [0.3, 0.7],
    [0.8, 0.2],
  ]);
  const { outputs } = step(state, window);
  close(t, outputs.disagreement!, [(0.6 + 0.1 + 0.5) / 3], 1e-6);
  close(t, outputs.topAgreement!, [1 / 3], 1e-6);
});

test('a single replica is its own ensemble and agrees with itself', (t) => {
  const { step, state } = constantModels([[0.9, 0.1]]);
  const { outputs } = step(state, window);
  close(t, outputs.ensembleLoss!, outputs.losses!, 1e-7);
  close(t, outputs.disagreement!, [0], 0);
  close(t, outputs.topAgreement!, [1], 0);
});

test('each replica carries its own recurrent state', (t) => {
  const other = { ...tinyModel, hiddenSize: 5 };
  const { step, state: specs } = languageModelEvaluation({
    models: [tinyModel, other],
    batch: 2,
    time: 3,
  });
  const weights = [parameterTensors(tinyModel, 1), parameterTensors(other, 2)];
  const state = mapValues(specs, ({ shape }) => tf.zeros([...shape]));
  for (const [index, parameters] of weights.entries()) {
    for (const [name, tensor] of Object.entries(parameters)) {
      state[`replica${index}/${name}`] = tensor;
    }
  }
  const [early, late] = [3, 4].map((seed) => randomTokens(tinyModel, 2, 3, seed));
  const first = step(state, { tokens: early!, targets: early! });
  const second = step({ ...state, ...first.state }, { tokens: late!, targets: late! });
  const zero = mapValues(recurrentStateShapes(other, 2), (shape) => tf.zeros([...shape]));
  const whole = forward(other, weights[1]!, zero, tf.concat2d([early!, late!], 1));
  for (const [name, tensor] of Object.entries(whole.recurrentState)) {
    close(t, second.state[`replica1.recurrent/${name}`]!, tensor, 1e-6);
  }
});

test('an evaluation without replicas or of different vocabularies is refused', (t) => {
  const sizes = { batch: 1, time: 1 };
  t.throws(() => languageModelEvaluation({ ...sizes, models: [] }), {
    instanceOf: RangeError,
    message: 'models.length is 0: it must be an integer of at least 1',
  });
  t.throws(() => languageModelEvaluation({ ...sizes, models: [coin, tinyModel] }), {
    instanceOf: RangeError,
    message: /^models\[1\] tells apart 11 word pieces: it must be 2, as/,
  });
});
