import * as tf from '@tensorflow/tfjs-core';
import test, { type ExecutionContext } from 'ava';
import type { TensorMap } from '../../compiler/index.ts';
import {
  codistillationObjective,
  forward,
  type LanguageModelConfig,
  languageModelParameters,
  recurrentStateShapes,
  timeMajor,
} from '../../training/index.ts';
import {
  finiteDifferences,
  type ReferenceParameters,
  referenceLogits,
  referenceObjective,
} from './reference-model.ts';
import {
  close,
  mapValues,
  numbers,
  parameterTensors,
  randomTokens,
  recurrentTensors,
  tinyModel,
  uniform,
} from './tensors.ts';

const batch = 2;
const time = 3;
const teacherModel: LanguageModelConfig = { ...tinyModel, hiddenSize: 5, layers: 1 };

/** Parameters away from their first values, so that gains and biases differ from each other. */
function movedParameters(config: LanguageModelConfig, seed: number): TensorMap {
  return mapValues(parameterTensors(config, seed), (tensor, name) =>
    tf.add(tf.mul(tensor, 2), uniform([...tensor.shape], 0.3, seed, `moved ${name}`)),
  );
}

test('logits and recurrent state agree with a plain implementation', (t) => {
  const parameters = movedParameters(tinyModel, 1);
  const state = recurrentTensors(tinyModel, batch, 2);
  const tokens = randomTokens(tinyModel, batch, time, 3);
  const output = forward(tinyModel, parameters, state, tokens);
  t.deepEqual(output.logits.shape, [time * batch, tinyModel.vocabularySize]);
  const reference = referenceRows(tinyModel, mapValues(parameters, numbers), state, tokens);
  close(t, output.logits, reference.flat(), 5e-6);
});

test('the gradient of every parameter agrees with finite differences of the whole objective', (t) => {
  checkGradients(t, [teacherModel, tinyModel], 0.7);
});

test('during burn-in the gradient is that of the cross-entropy alone', (t) => {
  checkGradients(t, [], 1);
});

test('one window of 2T gives what two windows of T with carried state do', (t) => {
  const parameters = movedParameters(tinyModel, 1);
  const state = recurrentTensors(tinyModel, batch, 2);
  const tokens = randomTokens(tinyModel, batch, 2 * time, 3);
  const [early, late] = tf.split(tokens, 2, 1) as [tf.Tensor2D, tf.Tensor2D];
  const whole = forward(tinyModel, parameters, state, tokens);
  const first = forward(tinyModel, parameters, state, early);
  const second = forward(tinyModel, parameters, first.recurrentState, late);
  close(t, whole.logits, tf.concat([first.logits, second.logits], 0), 1e-6);
  for (const [name, tensor] of Object.entries(whole.recurrentState)) {
    close(t, second.recurrentState[name]!, tensor, 1e-6);
  }
});

test("the paper's model can be expressed", (t) => {
  const paper = { vocabularySize: 24_006, embeddingSize: 256, hiddenSize: 1024, layers: 2 };
  const shapes = languageModelParameters(paper);
  t.deepEqual(shapes['layer0/inputWeights'], [256, 4096]);
  t.deepEqual(shapes['layer1/inputWeights'], [1024, 4096]);
  t.deepEqual(shapes['output/weights'], [1024, 24_006]);
  t.deepEqual(recurrentStateShapes(paper, 128)['layer1/cell'], [128, 1024]);
});

function checkGradients(
  t: ExecutionContext,
  teacherModels: readonly LanguageModelConfig[],
  distillWeight: number,
): void {
  const parameters = movedParameters(tinyModel, 1);
  const state = recurrentTensors(tinyModel, batch, 2);
  const tokens = randomTokens(tinyModel, batch, time, 3);
  const targets = timeMajor(randomTokens(tinyModel, batch, time, 4));
  const student = forward(tinyModel, parameters, state, tokens);
  const teacherLogits = teacherModels.map((teacher, index) => {
    const itsState = recurrentTensors(teacher, batch, 6 + index);
    return forward(teacher, movedParameters(teacher, 5 + index), itsState, tokens).logits;
  });
  const objective = codistillationObjective({
    logits: student.logits,
    targets,
    teacherLogits,
    distillWeight,
  });
  const gradients = student.backward(objective.rowGradients());
  t.deepEqual(Object.keys(gradients).sort(), Object.keys(parameters).sort());
  const values = mapValues(parameters, numbers);
  const teacherRows = teacherLogits.map((logits) => logits.arraySync());
  const total = (name: string, at: readonly number[]) =>
    referenceObjective(
      referenceRows(tinyModel, { ...values, [name]: at }, state, tokens),
      numbers(targets),
      teacherRows,
      distillWeight,
    );
  for (const [name, at] of Object.entries(values)) {
    const slopes = finiteDifferences((moved) => total(name, moved), at);
    t.true(Math.max(...slopes.map(Math.abs)) > 1e-3, `${name} has a gradient to compare`);
    // Gradients reach 3 here: this is about seven digits of float32.
    close(t, gradients[name]!, slopes, 2e-5);
  }
}

/** The plain implementation's logits for all lanes, time-major. */
function referenceRows(
  config: LanguageModelConfig,
  parameters: ReferenceParameters,
  state: TensorMap,
  tokens: tf.Tensor2D,
): (readonly number[])[] {
  const stateRows = mapValues(state, (tensor) => tensor.arraySync() as number[][]);
  const lanes = tokens.arraySync().map((pieces, lane) =>
    referenceLogits(
      config,
      parameters,
      pieces,
      Array.from({ length: config.layers }, (_, layer) => ({
        hidden: stateRows[`layer${layer}/hidden`]![lane]!,
        cell: stateRows[`layer${layer}/cell`]![lane]!,
      })),
    ),
  );
  return Array.from({ length: time * batch }, (_, row) => lanes[row % batch]![(row / batch) | 0]!);
}
