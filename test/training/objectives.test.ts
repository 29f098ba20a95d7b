import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import {
  type CodistillationObjectiveInputs,
  codistillationObjective,
  type Distillation,
  defaultObjective,
  distillations,
  distillWeightAt,
} from '../../training/index.ts';
import { finiteDifferences } from './reference-model.ts';
import { close, numbers, uniform } from './tensors.ts';

// One row of two classes; the right one is the second.
const targets = tf.tensor1d([1], 'int32');
/** p = (1/4, 3/4) */
const student = tf.tensor2d([[0, Math.log(3)]]);
/** q = (0.9, 0.1) and (0.5, 0.5): 0.7 on average. */
const teachers = [tf.tensor2d([[Math.log(9), 0]]), tf.tensor2d([[2, 2]])];
const plain = { logits: student, targets, teacherLogits: teachers, distillWeight: 1 };
const phi = -Math.log(0.75);

test('KL is the soft cross-entropy less the entropy of the teachers, with the same gradient', (t) => {
  const kl = codistillationObjective({ ...plain, distillation: 'kl' });
  close(t, kl.distillLoss, [0.7 * Math.log(0.7 / 0.25) + 0.3 * Math.log(0.3 / 0.75)]);
  close(t, kl.rowGradients(), numbers(codistillationObjective(plain).rowGradients()));
});

test('KL to a teacher that predicts what the student does is zero', (t) => {
  const teacherLogits = [student];
  close(
    t,
    codistillationObjective({ ...plain, teacherLogits, distillation: 'kl' }).distillLoss,
    [0],
  );
});

test('the squared error of logits worked by hand', (t) => {
  // The teachers' mean logits are (ln 3 + 1, 1), ln 3 apart as the student's, but the other way round: from each
  // row's mean, the student's are ∓ln 3 / 2 and the teachers' ±ln 3 / 2.
  const { distillLoss, rowGradients } = codistillationObjective({
    ...plain,
    distillation: 'logit-mse',
  });
  close(t, distillLoss, [0.5 * Math.log(3) ** 2]);
  const pull = Math.log(3) / 2;
  close(t, rowGradients(), [0.25 - pull, 0.75 - 1 + pull]);
});

test('a constant added to all logits of a row changes no squared error', (t) => {
  const moved = { ...plain, logits: tf.add<tf.Tensor2D>(student, 7) };
  const [one, other] = [plain, moved].map((inputs) =>
    codistillationObjective({ ...inputs, distillation: 'logit-mse' }),
  );
  close(t, one!.distillLoss, numbers(other!.distillLoss), 1e-5);
});

test('temperature 2 worked by hand', (t) => {
  // exp(z / 2): student 1 : √3, teachers 3 : 1 and 1 : 1.
  const p = 1 / (1 + Math.sqrt(3));
  const q = (0.75 + 0.5) / 2;
  const { distillLoss, rowGradients } = codistillationObjective({ ...plain, temperature: 2 });
  close(t, distillLoss, [-4 * (q * Math.log(p) + (1 - q) * Math.log(1 - p))]);
  close(t, rowGradients(), [0.25 + 2 * (p - q), 0.75 - 1 - 2 * (p - q)]);
});

test('at a high temperature the gradient is that of the squared error of logits (Hinton 2015)', (t) => {
  const inputs = { ...plain, distillWeight: 3 };
  const hot = codistillationObjective({ ...inputs, temperature: 2000 }).rowGradients();
  const mse = codistillationObjective({ ...inputs, distillation: 'logit-mse' }).rowGradients();
  close(t, hot, numbers(mse), 2e-3);
});

test('uniform smoothing worked by hand', (t) => {
  const { loss, value, rowGradients } = codistillationObjective({
    ...plain,
    teacherLogits: [],
    smoothing: { share: 0.2 },
  });
  // Targets (0.1, 0.9); the loss that is shown is that of the targets as they are.
  close(t, loss, [phi]);
  close(t, value, [-0.1 * Math.log(0.25) - 0.9 * Math.log(0.75)]);
  close(t, rowGradients(), [0.25 - 0.1, 0.75 - 0.9]);
});

test('unigram smoothing worked by hand', (t) => {
  const { value, rowGradients } = codistillationObjective({
    ...plain,
    teacherLogits: [],
    smoothing: { share: 0.2, frequencies: tf.tensor1d([0.6, 0.4]) },
  });
  // Targets (0.12, 0.88).
  close(t, value, [-0.12 * Math.log(0.25) - 0.88 * Math.log(0.75)]);
  close(t, rowGradients(), [0.25 - 0.12, 0.75 - 0.88]);
});

test('teachers count by their shares', (t) => {
  const alone = codistillationObjective({ ...plain, teacherShares: tf.tensor1d([1, 0]) });
  close(t, alone.distillLoss, [-0.9 * Math.log(0.25) - 0.1 * Math.log(0.75)]);
  const alike = codistillationObjective({ ...plain, teacherShares: tf.tensor1d([0.5, 0.5]) });
  close(t, alike.rowGradients(), numbers(codistillationObjective(plain).rowGradients()));
});

test('a weight that is a tensor does what the number does', (t) => {
  for (const distillation of distillations) {
    const inputs = { ...plain, distillation, distillWeight: 0.25 };
    const given = codistillationObjective({ ...inputs, distillWeight: tf.scalar(0.25) });
    const expected = codistillationObjective(inputs);
    close(t, given.value, numbers(expected.value));
    close(t, given.rowGradients(), numbers(expected.rowGradients()));
  }
});

test('the weight grows evenly to its own over the ramp', (t) => {
  const objective = { ...defaultObjective, weight: 2, rampSteps: 4 };
  const weights = [0, 1, 2, 3, 4, 100].map((step) => distillWeightAt(objective, step));
  t.deepEqual(weights, [0.5, 1, 1.5, 2, 2, 2]);
  t.is(distillWeightAt({ ...objective, rampSteps: 0 }, 0), 2);
});

const rows = 3;
const many = {
  logits: uniform([rows, 5], 3, 1) as tf.Tensor2D,
  targets: tf.tensor1d([4, 0, 2], 'int32'),
  teacherLogits: [uniform([rows, 5], 3, 2), uniform([rows, 5], 3, 3)] as tf.Tensor2D[],
  distillWeight: 0.5,
};
const settings: readonly (readonly [string, Partial<CodistillationObjectiveInputs>])[] = [
  ...distillations.flatMap((distillation: Distillation) => [
    [distillation, { distillation }] as const,
    [
      `${distillation} of uneven teachers`,
      { distillation, teacherShares: tf.tensor1d([0.2, 0.8]) },
    ] as const,
  ]),
  ['temperature', { temperature: 3 }],
  ['KL at a temperature', { distillation: 'kl', temperature: 0.5 }],
  ['uniform smoothing', { smoothing: { share: 0.3 } }],
  [
    'unigram smoothing with KL',
    {
      distillation: 'kl',
      smoothing: { share: 0.3, frequencies: tf.tensor1d([0.1, 0.2, 0.4, 0.25, 0.05]) },
    },
  ],
];

for (const [name, setting] of settings) {
  test(`the gradient agrees with finite differences of the value: ${name}`, (t) => {
    const valueAt = (values: readonly number[]): number =>
      referenceValue(values, { ...many, ...setting });
    const { value, rowGradients } = codistillationObjective({ ...many, ...setting });
    close(t, value, [valueAt(numbers(many.logits))], 1e-5);
    const slopes = finiteDifferences(valueAt, numbers(many.logits));
    close(t, tf.div(rowGradients(), rows), slopes, 1e-5);
  });
}

/** The objective once more, in plain loops over 64-bit numbers. */
function referenceValue(values: readonly number[], inputs: CodistillationObjectiveInputs): number {
  const { teacherLogits, distillation = 'cross-entropy', temperature = 1, smoothing } = inputs;
  const classes = inputs.logits.shape[1];
  const shares = inputs.teacherShares
    ? numbers(inputs.teacherShares)
    : teacherLogits.map(() => 1 / teacherLogits.length);
  const frequencies = smoothing?.frequencies && numbers(smoothing.frequencies);
  const each = numbers(inputs.targets).map((target, row) => {
    const logits = values.slice(row * classes, (row + 1) * classes);
    const theirs = teacherLogits.map((one) => (one.arraySync() as number[][])[row]!);
    const mix = (rows: readonly (readonly number[])[]) =>
      logits.map((_, at) => sum(rows.map((one, teacher) => shares[teacher]! * one[at]!)));
    const smoothed = logits.map((_, at) => {
      const share = smoothing?.share ?? 0;
      const toAll = share * (frequencies?.[at] ?? 1 / classes);
      return toAll + (at === target ? 1 - share : 0);
    });
    const phi = -sum(logSoftmax(logits).map((log, at) => smoothed[at]! * log));
    return phi + Number(inputs.distillWeight) * psi(logits, theirs, mix, distillation, temperature);
  });
  return sum(each) / each.length;
}

function psi(
  logits: readonly number[],
  teachers: readonly (readonly number[])[],
  mix: (rows: readonly (readonly number[])[]) => readonly number[],
  distillation: Distillation,
  temperature: number,
): number {
  if (distillation === 'logit-mse') {
    const differences = mix(teachers).map((one, at) => logits[at]! - one);
    const mean = sum(differences) / differences.length;
    return sum(differences.map((one) => (one - mean) ** 2)) / (2 * differences.length);
  }
  const cooled = (row: readonly number[]) => logSoftmax(row.map((one) => one / temperature));
  const q = mix(teachers.map((row) => cooled(row).map(Math.exp)));
  const crossEntropy = -sum(cooled(logits).map((log, at) => q[at]! * log));
  const entropy = -sum(q.map((one) => one * Math.log(one)));
  return temperature ** 2 * (distillation === 'kl' ? crossEntropy - entropy : crossEntropy);
}

function logSoftmax(row: readonly number[]): readonly number[] {
  const total = Math.log(sum(row.map(Math.exp)));
  return row.map((one) => one - total);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, one) => total + one, 0);
}
