import test from 'ava';
import { classificationScores, ensembleProbabilities } from '../../training/index.ts';

/** Of class 1. */
const twoClasses = (probabilities: readonly number[]) =>
  Float32Array.from(probabilities.flatMap((p) => [1 - p, p]));

test('log loss, accuracy and area under the curve worked by hand', (t) => {
  const targets = Int32Array.of(1, 0, 1, 0);
  const { loss, accuracy, auc } = classificationScores(
    twoClasses([0.8, 0.25, 0.4, 0.5]),
    targets,
    2,
  );
  const expected = -(Math.log(0.8) + Math.log(0.75) + Math.log(0.4) + Math.log(0.5)) / 4;
  t.true(Math.abs(loss - expected) < 1e-6);
  // A tie goes to the first class.
  t.is(accuracy, 3 / 4);
  // Pairs of right and wrong: 0.8 beats both, 0.4 beats 0.25 alone.
  t.is(auc, 3 / 4);
});

test('a tie counts half in the area under the curve', (t) => {
  const auc = (probabilities: readonly number[], targets: readonly number[]) =>
    classificationScores(twoClasses(probabilities), Int32Array.from(targets), 2).auc;
  t.is(auc([0.5, 0.5, 0.5], [1, 0, 0]), 0.5);
  // The positive at 0.5 ties with one negative and beats the other; that at 0.75 beats both.
  t.is(auc([0.5, 0.5, 0.25, 0.75], [1, 0, 0, 1]), (0.5 + 1 + 2) / 4);
  t.is(auc([0.1, 0.2], [1, 1]), null);
});

test('more than two classes have no area under a curve', (t) => {
  const { accuracy, auc } = classificationScores(
    Float32Array.of(0.2, 0.3, 0.5, 0.6, 0.3, 0.1),
    Int32Array.of(2, 1),
    3,
  );
  t.is(accuracy, 0.5);
  t.is(auc, null);
});

test('an ensemble has the average of probabilities', (t) => {
  const [one, other] = [twoClasses([0.5, 0]), twoClasses([0.25, 1])];
  t.deepEqual([...ensembleProbabilities([one, other])], [...twoClasses([0.375, 0.5])]);
});
