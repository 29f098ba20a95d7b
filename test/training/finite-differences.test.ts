import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { codistillationObjective } from '../../training/codistillation-objective.ts';
import type { Network } from '../../training/index.ts';
import { someNumbers } from '../compiler/graphs.ts';
import { prepareStep, smallInputs, smallNetworks } from './small-networks.ts';

const DISTANCE = 1e-6;
/** Of a slope, relative to the length of the gradient: what float32 gradients can have. */
const TOLERANCE = 1e-5;
/** Of sums in float32 whose terms nearly cancel; on blocks they are over all places of all images: 7e-7 was seen for a bias. */
const SUM_ERROR = 1e-7;
const SUM_ERROR_ON_BLOCKS = 1e-6;
const float32 = globalThis.Float32Array;

/**
 * Lets TensorFlow.js's CPU backend compute in float64: it makes all its arrays by this one name.
 * All of it is synchronous.
 */
function inFloat64<Result>(body: () => Result): Result {
  globalThis.Float32Array = Float64Array as unknown as Float32ArrayConstructor;
  try {
    return body();
  } finally {
    globalThis.Float32Array = float32;
  }
}

type Arrays = Record<string, Float64Array>;

/** The whole objective of a step, from nothing but the definition of its forward pass. */
function objectiveAt(network: Network, student: Arrays, teacher: Arrays): number {
  const inputs = smallInputs(network, 0);
  const shapes = { ...network.parameters, ...network.statistics };
  const tensorsOf = (arrays: Arrays) =>
    Object.fromEntries(
      Object.entries(arrays).map(([name, values]) => [
        name,
        tf.tensor(Array.from(values), [...shapes[name]!], 'float32'),
      ]),
    );
  return tf.tidy(() => {
    const specs = Object.entries(network.inputs(3));
    const given = Object.fromEntries(
      specs.map(([name, { shape, dtype }]) => [
        name,
        tf.tensor(Array.from(inputs[name]!), [...shape], dtype),
      ]),
    );
    const ours = tensorsOf(student);
    const theirs = tensorsOf(teacher);
    const { loss, distillLoss } = codistillationObjective({
      logits: network.forward(ours, ours, given, 'training').logits,
      targets: tf.tensor1d(inputs.targets as Int32Array, 'int32'),
      teacherLogits: [network.forward(theirs, theirs, given, 'inference').logits],
      distillWeight: 1,
    });
    return loss.dataSync()[0]! + distillLoss.dataSync()[0]!;
  });
}

test.before(async () => {
  await tf.setBackend('cpu');
});

test('the widened backend computes in float64', (t) => {
  const third = inFloat64(() => tf.div(tf.scalar(1), tf.scalar(3)).dataSync()[0]);
  t.is(third, 1 / 3);
  t.is(tf.div(tf.scalar(1), tf.scalar(3)).dataSync()[0], Math.fround(1 / 3));
});

for (const [name, network] of Object.entries(smallNetworks)) {
  const sumError = name.includes('blocks of channels') ? SUM_ERROR_ON_BLOCKS : SUM_ERROR;
  test(`gradients of the ${name} are what differences of a float64 objective say`, async (t) => {
    const { step, state } = await prepareStep(network, 'onnx-cpu', { teachers: [network] });
    const read = (place: (entry: string) => string, entries: object): Arrays =>
      Object.fromEntries(
        Object.keys(entries).map((entry) => [entry, Float64Array.from(state.read(place(entry)))]),
      );
    const student = {
      ...read((entry) => `student/${entry}`, network.parameters),
      ...read((entry) => `student/${entry}`, network.statistics),
    };
    const all = { ...network.parameters, ...network.statistics };
    const teacher = read((entry) => `teacher0/${entry}`, all);
    await step.run(smallInputs(network, 0));
    for (const [index, parameter] of Object.keys(network.parameters).entries()) {
      const gradient = Float64Array.from(state.read(`velocity/${parameter}`));
      // Any direction will do: the gradient must say the slope along each.
      const direction = Float64Array.from(someNumbers(gradient.length, index + 1));
      const moved = (distance: number): Arrays => ({
        ...student,
        [parameter]: student[parameter]!.map((value, i) => value + distance * direction[i]!),
      });
      const [ahead, behind] = inFloat64(() =>
        [DISTANCE, -DISTANCE].map((distance) => objectiveAt(network, moved(distance), teacher)),
      ) as [number, number];
      const slope = (ahead - behind) / (2 * DISTANCE);
      const expected = gradient.reduce((sum, each, i) => sum + each * direction[i]!, 0);
      const lengths = Math.hypot(...gradient) * Math.hypot(...direction);
      const difference = Math.abs(slope - expected);
      t.true(difference < TOLERANCE * lengths + sumError, `${parameter}: ${slope}, ${expected}`);
    }
    await step.dispose();
  });
}
