import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import type { TensorMap } from '../../compiler/index.ts';
import { adamRates, adamUpdate } from '../../training/adam.ts';
import { forward, type LanguageModelConfig } from '../../training/index.ts';
import { restartLanes } from '../../training/lane-restarts.ts';
import { type LanguageModelStepConfig, languageModelStep } from './language-model-steps.ts';
import {
  close,
  mapValues,
  numbers,
  parameterTensors,
  randomTokens,
  recurrentTensors,
  tinyModel,
} from './tensors.ts';

const batch = 2;
const time = 3;
const teacherModel: LanguageModelConfig = { ...tinyModel, hiddenSize: 5, layers: 1 };
const base: LanguageModelStepConfig = {
  model: tinyModel,
  batch,
  time,
  teachers: [],
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  clipNorm: 100,
  distillWeight: 1,
  restartIntervalSteps: 0,
};

/** State as a run has it: first weights, all else zero. */
function firstState(config: LanguageModelStepConfig): TensorMap {
  const state = mapValues(languageModelStep(config).state, ({ shape }) => tf.zeros([...shape]));
  place(state, 'student', parameterTensors(config.model, 1));
  for (const [index, teacher] of config.teachers.entries()) {
    place(state, `teacher${index}`, parameterTensors(teacher, 10 + index));
  }
  return state;
}

function place(state: Record<string, tf.Tensor>, prefix: string, entries: TensorMap): void {
  for (const [name, tensor] of Object.entries(entries)) state[`${prefix}/${name}`] = tensor;
}

function under(state: TensorMap, prefix: string): TensorMap {
  const found = Object.entries(state).filter(([name]) => name.startsWith(`${prefix}/`));
  return Object.fromEntries(found.map(([name, tensor]) => [name.slice(prefix.length + 1), tensor]));
}

function inputsOf(config: LanguageModelStepConfig, seed: number, learningRate = 0.01): TensorMap {
  return {
    tokens: randomTokens(config.model, config.batch, config.time, seed),
    targets: randomTokens(config.model, config.batch, config.time, seed + 1),
    learningRate: tf.scalar(learningRate),
  };
}

test('a step updates what it says and leaves the teachers alone', (t) => {
  const config = { ...base, teachers: [teacherModel, tinyModel] };
  const { step, state: specs } = languageModelStep(config);
  const state = firstState(config);
  const result = step(state, inputsOf(config, 1));
  t.deepEqual(Object.keys(result.outputs).sort(), ['distillLoss', 'gradientNorm', 'loss']);
  const updated = Object.keys(specs).filter((name) => !/^teacher\d+\//.test(name));
  t.deepEqual(Object.keys(result.state).sort(), updated.sort());
  for (const [name, tensor] of Object.entries(result.state)) {
    t.deepEqual(tensor.shape, [...specs[name]!.shape], name);
  }
  close(t, result.state.steps!, [1], 0);
});

test('the first step moves each parameter as Adam does with its gradient', (t) => {
  const { step } = languageModelStep(base);
  const state = firstState(base);
  const { state: next } = step(state, inputsOf(base, 1));
  // The first moment is a tenth of the gradient.
  const gradient = tf.mul(next['m/output/weights']!, 10);
  const slot = {
    parameter: state['student/output/weights']!,
    firstMoment: tf.zerosLike(gradient),
    secondMoment: tf.zerosLike(gradient),
  };
  const rates = adamRates(base.optimizer, tf.scalar(0.01), tf.scalar(1));
  const expected = adamUpdate(base.optimizer, rates, slot, gradient, tf.scalar(1));
  close(t, next['student/output/weights']!, expected.parameter, 1e-6);
  close(t, next['v/output/weights']!, expected.secondMoment, 1e-8);
});

test('clipping scales all gradients by one factor and reports the norm before it', (t) => {
  const inputs = inputsOf(base, 1);
  const state = firstState(base);
  const free = languageModelStep(base).step(state, inputs);
  const norm = free.outputs.gradientNorm!.dataSync()[0]!;
  const clipped = languageModelStep({ ...base, clipNorm: norm / 4 }).step(state, inputs);
  close(t, clipped.outputs.gradientNorm!, [norm]);
  for (const name of ['embedding', 'layer0/recurrentWeights', 'output/bias']) {
    const moment = tf.mul(clipped.state[`m/${name}`]!, 4);
    close(t, moment, free.state[`m/${name}`]!, 1e-6);
  }
});

test('during burn-in there is no distillation loss, and teachers of weight 0 change no update', (t) => {
  const inputs = inputsOf(base, 1);
  const burnIn = languageModelStep(base).step(firstState(base), inputs);
  close(t, burnIn.outputs.distillLoss!, [0], 0);
  const config = { ...base, teachers: [teacherModel], distillWeight: 0 };
  const weightless = languageModelStep(config).step(firstState(config), inputs);
  t.true(weightless.outputs.distillLoss!.dataSync()[0]! > 0.5);
  for (const [name, tensor] of Object.entries(burnIn.state)) {
    close(t, weightless.state[name]!, tensor, 1e-6);
  }
});

test('student and teacher carry their recurrent state from window to window', (t) => {
  const config = { ...base, teachers: [teacherModel] };
  const wide = { ...config, time: 2 * time };
  const inputs = inputsOf(wide, 1, 0);
  const halves = (name: string) => tf.split(inputs[name]!, 2, 1);
  let state = firstState(config);
  const losses: number[] = [];
  for (const half of [0, 1]) {
    const window = {
      tokens: halves('tokens')[half]!,
      targets: halves('targets')[half]!,
      learningRate: tf.scalar(0),
    };
    const result = languageModelStep(config).step(state, window);
    losses.push(result.outputs.loss!.dataSync()[0]!);
    state = { ...state, ...result.state };
  }
  const whole = languageModelStep(wide).step(firstState(wide), inputs);
  close(t, whole.outputs.loss!, [(losses[0]! + losses[1]!) / 2], 1e-6);
  for (const prefix of ['student.recurrent', 'teacher0.recurrent']) {
    for (const [name, tensor] of Object.entries(under(state, prefix))) {
      close(t, whole.state[`${prefix}/${name}`]!, tensor, 1e-6);
    }
  }
});

test('a teacher keeps its recurrent state when its weights change', (t) => {
  const config = { ...base, teachers: [teacherModel] };
  const { step } = languageModelStep(config);
  const state: Record<string, tf.Tensor> = { ...firstState(config) };
  Object.assign(state, step(state, inputsOf(config, 1)).state);
  const carried = under(state, 'teacher0.recurrent');
  const weights = parameterTensors(teacherModel, 99);
  place(state, 'teacher0', weights);
  const inputs = inputsOf(config, 3);
  const { state: next } = step(state, inputs);
  const expected = forward(teacherModel, weights, carried, inputs.tokens as tf.Tensor2D);
  const restarted = forward(
    teacherModel,
    weights,
    mapValues(carried, tf.zerosLike),
    inputs.tokens as tf.Tensor2D,
  );
  close(t, next['teacher0.recurrent/layer0/cell']!, expected.recurrentState['layer0/cell']!, 1e-6);
  const difference = tf.sub(
    next['teacher0.recurrent/layer0/cell']!,
    restarted.recurrentState['layer0/cell']!,
  );
  t.true(tf.max(tf.abs(difference)).dataSync()[0]! > 1e-3);
});

test('lanes start anew in turn, the others carry their state', (t) => {
  const carried = {
    lane: tf.tensor2d([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
      [9, 10],
    ]),
  };
  const after = (step: number, intervalSteps: number, firstLane = 0) =>
    numbers(restartLanes(carried, tf.scalar(step), { intervalSteps, firstLane }).lane!);
  t.deepEqual(after(0, 3), [0, 0, 3, 4, 5, 6, 0, 0, 9, 10]);
  t.deepEqual(after(1, 3), [1, 2, 0, 0, 5, 6, 7, 8, 0, 0]);
  t.deepEqual(after(2, 3), [1, 2, 3, 4, 0, 0, 7, 8, 9, 10]);
  t.deepEqual(after(300, 3), after(0, 3));
  // A second worker's lanes are the sixth to the tenth.
  t.deepEqual(after(0, 3, 5), [1, 2, 0, 0, 5, 6, 7, 8, 0, 0]);
  t.deepEqual(after(6, 7), numbers(carried.lane));
  t.deepEqual(after(0, 0), numbers(carried.lane));
});

test('a lane that starts anew is at zero for the student, not for the teacher', (t) => {
  const config = { ...base, teachers: [tinyModel], restartIntervalSteps: 2 };
  const state = { ...firstState(config), steps: tf.scalar(1) };
  const recurrent = recurrentTensors(tinyModel, batch, 5);
  place(state, 'student.recurrent', recurrent);
  place(state, 'teacher0.recurrent', recurrent);
  const inputs = inputsOf(config, 1);
  const { state: next } = languageModelStep(config).step(state, inputs);
  const restarted = mapValues(recurrent, (tensor) => tf.mul(tensor, tf.tensor2d([[1], [0]])));
  const tokens = inputs.tokens as tf.Tensor2D;
  const student = forward(tinyModel, under(state, 'student'), restarted, tokens);
  const teacher = forward(tinyModel, under(state, 'teacher0'), recurrent, tokens);
  const name = 'layer1/hidden';
  close(t, next[`student.recurrent/${name}`]!, student.recurrentState[name]!, 1e-6);
  close(t, next[`teacher0.recurrent/${name}`]!, teacher.recurrentState[name]!, 1e-6);
});

test('the recurrent state goes out as the forward pass left it', (t) => {
  const state = { ...firstState(base) };
  place(state, 'student.recurrent', recurrentTensors(tinyModel, batch, 5));
  const inputs = inputsOf(base, 1);
  const { state: next } = languageModelStep(base).step(state, inputs);
  const before = forward(
    tinyModel,
    under(state, 'student'),
    under(state, 'student.recurrent'),
    inputs.tokens as tf.Tensor2D,
  );
  for (const [name, tensor] of Object.entries(before.recurrentState)) {
    close(t, next[`student.recurrent/${name}`]!, tensor, 1e-6);
  }
});

test('100 steps on a repeating pattern take the loss from ln 11 to below a tenth of it', (t) => {
  // What follows 1 depends on what came before it: the model needs memory.
  const config = { ...base, model: { ...tinyModel, hiddenSize: 8 } };
  const { step } = languageModelStep(config);
  const pattern = [3, 1, 4, 1, 5, 9, 2, 6];
  const window = (at: number, shift: number) =>
    Array.from({ length: batch }, (_, lane) =>
      Array.from({ length: time }, (_, index) => pattern[(at * time + index + shift + lane) % 8]!),
    );
  let state = firstState(config);
  const losses: number[] = [];
  for (let at = 0; at < 100; at++) {
    const inputs = {
      tokens: tf.tensor2d(window(at, 0), [batch, time], 'int32'),
      targets: tf.tensor2d(window(at, 1), [batch, time], 'int32'),
      learningRate: tf.scalar(0.05),
    };
    const result = step(state, inputs);
    losses.push(result.outputs.loss!.dataSync()[0]!);
    state = { ...state, ...result.state };
  }
  t.true(Math.abs(losses[0]! - Math.log(11)) < 0.5, `first loss ${losses[0]}`);
  t.true(losses.at(-1)! < 0.1 * Math.log(11), `last loss ${losses.at(-1)}`);
});

test('a step leaves no tensors but those that it returns', (t) => {
  const config = { ...base, teachers: [teacherModel] };
  const { step } = languageModelStep(config);
  const state = firstState(config);
  const inputs = inputsOf(config, 1);
  const before = tf.memory().numTensors;
  const result = step(state, inputs);
  const returned = Object.keys(result.state).length + Object.keys(result.outputs).length;
  t.is(tf.memory().numTensors - before, returned);
});

test('each impossible setting is named with its value and what is allowed', (t) => {
  const cases: [Partial<LanguageModelStepConfig>, RegExp][] = [
    [{ batch: 0 }, /^batch is 0: it must be an integer of at least 1$/],
    [{ time: 1.5 }, /^time is 1\.5: /],
    [{ clipNorm: 0 }, /^clipNorm is 0: it must be a finite number above 0$/],
    [{ restartIntervalSteps: -1 }, /^restartIntervalSteps is -1: .*at least 0$/],
    [{ distillWeight: -1 }, /^objective\.weight is -1: it must be a finite number at least 0$/],
    [
      { optimizer: { ...base.optimizer, beta1: 1 } },
      /^optimizer\.beta1 is 1: .*at least 0 and below 1$/,
    ],
    [{ optimizer: { ...base.optimizer, beta2: Number.NaN } }, /^optimizer\.beta2 is NaN: /],
    [{ optimizer: { ...base.optimizer, epsilon: 0 } }, /^optimizer\.epsilon is 0: /],
    [{ model: { ...tinyModel, vocabularySize: 1 } }, /^model\.vocabularySize is 1: .*at least 2$/],
    [{ model: { ...tinyModel, layers: 0 } }, /^model\.layers is 0: /],
    [{ model: { ...tinyModel, hiddenSize: 2 ** 20 } }, /^model: parameter .* elements/],
    [{ teachers: [{ ...tinyModel, embeddingSize: 0 }] }, /^model\.embeddingSize is 0: /],
    [
      { teachers: [tinyModel, { ...tinyModel, vocabularySize: 12 }] },
      /^teachers\[1\] tells apart 12 word pieces: it must be 11, as/,
    ],
    [{ batch: 2 ** 20, time: 2 ** 10 }, /^a batch of \d+ rows has \d+ logits: they must be fewer/],
  ];
  for (const [change, message] of cases) {
    t.throws(() => languageModelStep({ ...base, ...change }), { instanceOf: RangeError, message });
  }
});
