import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { adamRates, adamUpdate } from '../../training/adam.ts';
import { gradientClipping } from '../../training/gradient-clipping.ts';
import { close } from './tensors.ts';

const config = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

test('two steps of Adam worked by hand, with bias correction', (t) => {
  const unscaled = tf.scalar(1);
  const rate = tf.scalar(0.1);
  const start = { parameter: tf.scalar(1), firstMoment: tf.scalar(0), secondMoment: tf.scalar(0) };
  const first = adamUpdate(
    config,
    adamRates(config, rate, tf.scalar(1)),
    start,
    tf.scalar(0.5),
    unscaled,
  );
  close(t, first.firstMoment, [0.05], 1e-7);
  close(t, first.secondMoment, [0.00025], 1e-9);
  // Corrected moments 0.5 and 0.25: the step is the whole rate.
  close(t, first.parameter, [1 - 0.1], 5e-6);
  const second = adamUpdate(
    config,
    adamRates(config, rate, tf.scalar(2)),
    first,
    tf.scalar(-1),
    unscaled,
  );
  close(t, second.firstMoment, [0.9 * 0.05 - 0.1], 1e-7);
  close(t, second.secondMoment, [0.999 * 0.00025 + 0.001], 1e-9);
  // Corrected moments −0.055 / 0.19 and 0.00124975 / 0.001999.
  close(t, second.parameter, [0.9 + (0.1 * 0.2894737) / Math.sqrt(0.6251876)], 5e-6);
  close(t, second.parameter, [0.9366103], 5e-6);
});

test('the scale multiplies the gradient before the moments see it', (t) => {
  const slot = { parameter: tf.scalar(1), firstMoment: tf.scalar(0), secondMoment: tf.scalar(0) };
  const rates = adamRates(config, tf.scalar(0.1), tf.scalar(1));
  const next = adamUpdate(config, rates, slot, tf.scalar(5), tf.scalar(0.1));
  close(t, next.firstMoment, [0.05], 1e-7);
  close(t, next.secondMoment, [0.00025], 1e-9);
});

test('the global norm is that of all gradients together, and the factor brings it to the bound', (t) => {
  const gradients = [tf.tensor2d([[3, 0]]), tf.scalar(4)];
  const clipped = gradientClipping(gradients, 1);
  close(t, clipped.norm, [5]);
  close(t, clipped.factor, [0.2]);
});

test('gradients within the bound keep their length', (t) => {
  close(t, gradientClipping([tf.tensor1d([3, 4])], 5.5).factor, [1], 0);
});

test('the clipping factor of zero gradients is one', (t) => {
  const clipped = gradientClipping([tf.zeros([3])], 0.5);
  close(t, clipped.norm, [0], 0);
  close(t, clipped.factor, [1], 0);
});
