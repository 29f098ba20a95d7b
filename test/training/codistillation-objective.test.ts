import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { codistillationObjective } from '../../training/index.ts';
import { finiteDifferences, referenceObjective } from './reference-model.ts';
import { close, numbers, uniform } from './tensors.ts';

// One row of two classes; the right one is the second.
const targets = tf.tensor1d([1], 'int32');
/** p = (1/4, 3/4) */
const student = tf.tensor2d([[0, Math.log(3)]]);
/** (0.9, 0.1) and (0.5, 0.5): average probability 0.7, average logits give 0.75. */
const teachers = [tf.tensor2d([[Math.log(9), 0]]), tf.tensor2d([[2, 2]])];

test('loss and distillation loss with two teachers worked by hand', (t) => {
  const objective = objectiveOf(student, teachers, 1);
  close(t, objective.loss, [-Math.log(0.75)]);
  close(t, objective.distillLoss, [-0.7 * Math.log(0.25) - 0.3 * Math.log(0.75)]);
});

test('the distillation loss takes probabilities on average, not logits, and is no reverse KL', (t) => {
  const distillLoss = objectiveOf(student, teachers, 1).distillLoss.dataSync()[0]!;
  const ofAverageLogits = -0.75 * Math.log(0.25) - 0.25 * Math.log(0.75);
  const reverseKl = 0.25 * Math.log(0.25 / 0.7) + 0.75 * Math.log(0.75 / 0.3);
  t.true(Math.abs(distillLoss - ofAverageLogits) > 0.05);
  t.true(Math.abs(distillLoss - reverseKl) > 0.05);
});

test('the gradient with two teachers worked by hand', (t) => {
  // (1 + w)·p − w·q − onehot
  close(t, objectiveOf(student, teachers, 1).rowGradients(), [0.5 - 0.7, 1.5 - 0.3 - 1]);
  close(t, objectiveOf(student, teachers, 2).rowGradients(), [0.75 - 1.4, 2.25 - 0.6 - 1]);
});

test('without teachers (burn-in) there is only the cross-entropy and its gradient', (t) => {
  const objective = objectiveOf(student, [], 1);
  close(t, objective.loss, [-Math.log(0.75)]);
  close(t, objective.distillLoss, [0], 0);
  close(t, objective.rowGradients(), [0.25, 0.75 - 1]);
});

test('the loss of far-apart logits stays finite and right', (t) => {
  const objective = objectiveOf(tf.tensor2d([[60, 0]]), [tf.tensor2d([[0, 60]])], 1);
  close(t, objective.loss, [60], 1e-4);
  close(t, objective.distillLoss, [60], 1e-4);
  close(t, objective.rowGradients(), [2, -2]);
});

test('a teacher that predicts what the student does adds nothing to the gradient', (t) => {
  const gradient = objectiveOf(student, [student], 5).rowGradients();
  close(t, gradient, objectiveOf(student, [], 1).rowGradients());
});

test('the gradient of three rows agrees with finite differences', (t) => {
  const rows = 3;
  const logits = uniform([rows, 7], 3, 1) as tf.Tensor2D;
  const others = [uniform([rows, 7], 3, 2), uniform([rows, 7], 3, 3)] as tf.Tensor2D[];
  const classes = tf.tensor1d([6, 0, 3], 'int32');
  const inputs = { logits, targets: classes, teacherLogits: others, distillWeight: 0.5 };
  const objective = codistillationObjective(inputs);
  const reference = (values: readonly number[]) =>
    referenceObjective(
      [values.slice(0, 7), values.slice(7, 14), values.slice(14)],
      numbers(classes),
      others.map((one) => one.arraySync()),
      0.5,
    );
  const total = tf.add(objective.loss, tf.mul(objective.distillLoss, 0.5));
  close(t, total, [reference(numbers(logits))], 1e-6);
  const slopes = finiteDifferences(reference, numbers(logits));
  close(t, tf.div(objective.rowGradients(), rows), slopes, 1e-6);
});

function objectiveOf(logits: tf.Tensor2D, teacherLogits: tf.Tensor2D[], distillWeight: number) {
  return codistillationObjective({ logits, targets, teacherLogits, distillWeight });
}
