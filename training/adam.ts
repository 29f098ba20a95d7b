import * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from './config-check.ts';

export interface AdamConfig {
  /** Decay of the first moment, in [0, 1). */
  readonly beta1: number;
  /** Decay of the second moment, in [0, 1). */
  readonly beta2: number;
  /** Added to the root of the second moment, above 0. */
  readonly epsilon: number;
}

/** @throws RangeError that names the field, its value and the values allowed. */
export function checkAdamConfig({ beta1, beta2, epsilon }: AdamConfig, name = 'optimizer'): void {
  checkNumber(`${name}.beta1`, beta1, { atLeast: 0, below: 1 });
  checkNumber(`${name}.beta2`, beta2, { atLeast: 0, below: 1 });
  checkNumber(`${name}.epsilon`, epsilon, { above: 0 });
}

/** What is the same for all parameters in one step. */
export interface AdamRates {
  /** learningRate / (1 − beta1ᵗ) */
  readonly rate: tf.Scalar;
  /** 1 / (1 − beta2ᵗ) */
  readonly secondMomentScale: tf.Scalar;
}

/** Bias correction for step `step`, counted from 1 (float32: exact up to 2²⁴ steps). */
export function adamRates(config: AdamConfig, learningRate: tf.Scalar, step: tf.Scalar): AdamRates {
  const correction1 = tf.sub(1, tf.pow(config.beta1, step));
  const correction2 = tf.sub(1, tf.pow(config.beta2, step));
  return {
    rate: tf.div(learningRate, correction1),
    secondMomentScale: tf.div(1, correction2),
  };
}

/** A parameter and its moments, all of one shape. */
export interface AdamSlot {
  readonly parameter: tf.Tensor;
  readonly firstMoment: tf.Tensor;
  readonly secondMoment: tf.Tensor;
}

/**
 * One step of Adam (Kingma and Ba 2015, algorithm 1) for one parameter; `gradientScale` multiplies
 * the gradient first (clipping). All of it is elementwise: one pass when compiled.
 */
export function adamUpdate(
  config: AdamConfig,
  { rate, secondMomentScale }: AdamRates,
  slot: AdamSlot,
  gradient: tf.Tensor,
  gradientScale: tf.Scalar,
): AdamSlot {
  const { beta1, beta2, epsilon } = config;
  const scaled = tf.mul(gradient, gradientScale);
  const firstMoment = tf.add(tf.mul(slot.firstMoment, beta1), tf.mul(scaled, 1 - beta1));
  const secondMoment = tf.add(
    tf.mul(slot.secondMoment, beta2),
    tf.mul(tf.square(scaled), 1 - beta2),
  );
  const deviation = tf.add(tf.sqrt(tf.mul(secondMoment, secondMomentScale)), epsilon);
  const parameter = tf.sub(slot.parameter, tf.div(tf.mul(firstMoment, rate), deviation));
  return { parameter, firstMoment, secondMoment };
}
