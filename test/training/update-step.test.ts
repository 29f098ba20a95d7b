import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import type { TensorMap } from '../../compiler/index.ts';
import {
  createGradientStep,
  createTrainingStep,
  createUpdateStep,
  defaultObjective,
  initialTrainingState,
  lstmModel,
  type TrainingStepConfig,
} from '../../training/index.ts';
import { close, randomTokens, tinyModel } from './tensors.ts';

const time = 3;
const config: TrainingStepConfig = {
  model: lstmModel({ ...tinyModel, time }),
  batch: 2,
  teachers: [],
  optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  weightDecay: 0.01,
  // Below the norm of the first gradients, so that clipping counts.
  clipNorm: 0.1,
  objective: defaultObjective,
};

function firstState(specs: Readonly<Record<string, { shape: readonly number[] }>>): TensorMap {
  const first = initialTrainingState(config, 7);
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => {
      const values = first[name];
      return [name, values ? tf.tensor(values, [...shape]) : tf.zeros([...shape])] as const;
    }),
  );
}

function withoutUndefined(state: TensorMap, names: readonly string[]): TensorMap {
  return Object.fromEntries(names.map((name) => [name, state[name] as tf.Tensor]));
}

test('a gradient step and an update step do what a training step does', (t) => {
  const whole = createTrainingStep(config);
  const gradient = createGradientStep(config);
  const update = createUpdateStep(config);
  let wholeState = firstState(whole.state);
  let gradientState = firstState(gradient.state);
  let updateState = firstState(update.state);
  for (let step = 0; step < 3; step++) {
    const batch = {
      tokens: randomTokens(tinyModel, config.batch, time, step),
      targets: randomTokens(tinyModel, config.batch, time, step + 10),
    };
    const learningRate = tf.scalar(0.05);
    const expected = whole.step(wholeState, { ...batch, learningRate });
    wholeState = { ...wholeState, ...expected.state };

    const learned = gradient.step(gradientState, batch);
    const gradients = Object.fromEntries(
      Object.entries(learned.outputs).filter(([name]) => name.startsWith('gradient/')),
    );
    t.deepEqual(
      Object.keys(gradients).sort(),
      Object.keys(update.inputs)
        .filter((name) => name !== 'learningRate')
        .sort(),
    );
    const updated = update.step(updateState, { ...gradients, learningRate });
    updateState = { ...updateState, ...updated.state };
    const parameters = Object.keys(updateState).filter((name) => name.startsWith('student/'));
    gradientState = {
      ...gradientState,
      ...learned.state,
      ...withoutUndefined(updateState, parameters),
    };

    close(t, learned.outputs.loss!, expected.outputs.loss!);
    close(t, updated.outputs.gradientNorm!, expected.outputs.gradientNorm!);
    for (const [name, tensor] of Object.entries(wholeState)) {
      close(t, (updateState[name] ?? gradientState[name])!, tensor);
    }
  }
});
