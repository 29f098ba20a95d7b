import * as tf from '@tensorflow/tfjs-core';
import { type AdamConfig, adamRates, adamUpdate, checkAdamConfig } from './adam.ts';
import { checkNumber } from './config-check.ts';

/** How gradients change parameters; the learning rate is an input of each step. */
export type OptimizerConfig =
  | ({ readonly kind: 'adam' } & AdamConfig)
  /** Stochastic gradient descent. */
  | { readonly kind: 'sgd' }
  /**
   * The same along a decaying sum of gradients; `momentum` in [0, 1). With `nesterov` one decay ahead (Sutskever et
   * al. 2013, in the form that PyTorch has).
   */
  | { readonly kind: 'momentum'; readonly momentum: number; readonly nesterov?: boolean }
  /** Duchi et al. 2011; the sum of squares begins at `initialSum`, above 0. */
  | { readonly kind: 'adagrad'; readonly initialSum: number };

export interface OptimizerUpdate {
  readonly parameter: tf.Tensor;
  /** By name, as `optimizerSlots` lists them. */
  readonly slots: Readonly<Record<string, tf.Tensor>>;
}

/** What an optimizer keeps for each parameter, with its first value. */
export function optimizerSlots(config: OptimizerConfig): Readonly<Record<string, number>> {
  if (config.kind === 'adam') return { m: 0, v: 0 };
  if (config.kind === 'sgd') return {};
  if (config.kind === 'momentum') return { velocity: 0 };
  return { sum: config.initialSum };
}

/**
 * The rule of one step, for all its parameters: `stepsTaken` counts the steps before this one, and
 * gradients are multiplied by `gradientScale` first (clipping).
 */
export function optimizerRule(
  config: OptimizerConfig,
  learningRate: tf.Scalar,
  stepsTaken: tf.Scalar,
  gradientScale: tf.Scalar,
) {
  const rates =
    config.kind === 'adam' ? adamRates(config, learningRate, tf.add(stepsTaken, 1)) : undefined;
  return (
    parameter: tf.Tensor,
    gradient: tf.Tensor,
    slots: Readonly<Record<string, tf.Tensor>>,
  ): OptimizerUpdate => {
    if (config.kind === 'adam') {
      const slot = { parameter, firstMoment: slots.m!, secondMoment: slots.v! };
      const next = adamUpdate(config, rates!, slot, gradient, gradientScale);
      return {
        parameter: next.parameter,
        slots: { m: next.firstMoment, v: next.secondMoment },
      };
    }
    const scaled = tf.mul(gradient, gradientScale);
    if (config.kind === 'sgd') {
      return { parameter: tf.sub(parameter, tf.mul(scaled, learningRate)), slots: {} };
    }
    if (config.kind === 'momentum') {
      const velocity = tf.add(tf.mul(slots.velocity!, config.momentum), scaled);
      const change = config.nesterov ? tf.add(scaled, tf.mul(velocity, config.momentum)) : velocity;
      return { parameter: tf.sub(parameter, tf.mul(change, learningRate)), slots: { velocity } };
    }
    const sum = tf.add(slots.sum!, tf.square(scaled));
    const change = tf.div(tf.mul(scaled, learningRate), tf.sqrt(sum));
    return { parameter: tf.sub(parameter, change), slots: { sum } };
  };
}

/** @throws RangeError that names the field, its value and the values allowed. */
export function checkOptimizerConfig(config: OptimizerConfig): void {
  if (config.kind === 'adam') checkAdamConfig(config);
  if (config.kind === 'momentum') {
    checkNumber('optimizer.momentum', config.momentum, { atLeast: 0, below: 1 });
  }
  if (config.kind === 'adagrad') {
    checkNumber('optimizer.initialSum', config.initialSum, { above: 0 });
  }
}
