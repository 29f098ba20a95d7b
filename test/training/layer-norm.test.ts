import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { layerNorm, normalise, normaliseBackward } from '../../training/layer-norm.ts';
import { finiteDifferences, referenceNormalise } from './reference-model.ts';
import { close, numbers, uniform } from './tensors.ts';

test('layer norm of a row worked by hand', (t) => {
  // Mean 2, variance 1: the row becomes -1, -1, 1, 1 (less 5e-6 for epsilon).
  const input = tf.tensor2d([[1, 1, 3, 3]]);
  const norm = layerNorm(input, tf.tensor1d([2, 3, 4, 5]), tf.tensor1d([0, 10, 0, -1]));
  close(t, norm.output, [-2, 7, 4, 4], 5e-5);
});

test('gradients of layer norm worked by hand', (t) => {
  const input = tf.tensor2d([[1, 1, 3, 3]]);
  const norm = layerNorm(input, tf.tensor1d([2, 3, 4, 5]), tf.zeros([4]));
  const gradients = norm.backward(tf.tensor2d([[2, 0, 0, 0]]));
  // Of the normalised row: 4, 0, 0, 0, whose mean is 1 and whose mean product with the row is -1.
  close(t, gradients.input, [4 - 1 - 1, -1 - 1, -1 + 1, -1 + 1], 5e-5);
  close(t, gradients.gain, [-2, 0, 0, 0], 5e-5);
  close(t, gradients.bias, [2, 0, 0, 0]);
});

test('a row of equal values becomes zeros', (t) => {
  close(t, normalise(tf.tensor2d([[5, 5, 5]])).normalised, [0, 0, 0]);
});

test('the gradient of normalise agrees with finite differences', (t) => {
  const input = uniform([1, 6], 1, 5) as tf.Tensor2D;
  const outer = uniform([1, 6], 1, 6) as tf.Tensor2D;
  const weights = numbers(outer);
  const slopes = finiteDifferences(
    (row) => referenceNormalise(row).reduce((sum, one, index) => sum + one * weights[index]!, 0),
    numbers(input),
  );
  close(t, normaliseBackward(normalise(input), outer), slopes, 2e-6);
});
