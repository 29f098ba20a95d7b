import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import {
  crossEntropy,
  subtractTargets,
  takeTargets,
  targetPositions,
} from '../../training/cross-entropy.ts';
import { close } from './tensors.ts';

const targets = tf.tensor1d([2, 0], 'int32');
const positions = targetPositions(targets, 3);

test('the cross-entropy of two rows worked by hand', (t) => {
  const probabilities = tf.tensor2d([
    [0.5, 0.3, 0.2],
    [0.1, 0.6, 0.3],
  ]);
  close(t, crossEntropy(probabilities, positions), [-(Math.log(0.2) + Math.log(0.1)) / 2]);
});

test('a probability that underflowed counts as the smallest float, not as infinite loss', (t) => {
  const probabilities = tf.tensor2d([
    [1, 0, 0],
    [1, 0, 0],
  ]);
  close(t, crossEntropy(probabilities, positions), [(126 * Math.LN2) / 2], 1e-4);
});

test('targets are found in and subtracted from their own row and column', (t) => {
  const matrix = tf.tensor2d([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  close(t, takeTargets(matrix, positions), [3, 4], 0);
  close(t, subtractTargets(matrix, positions), [1, 2, 2, 3, 5, 6], 0);
});
