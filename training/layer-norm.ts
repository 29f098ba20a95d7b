import * as tf from '@tensorflow/tfjs-core';

/** Keeps the division finite for a row of equal values; as in the paper's own code. */
const layerNormEpsilon = 1e-5;

export interface LayerNorm {
  /** `normalised · gain + bias`, [rows, width]. */
  readonly output: tf.Tensor2D;
  /** Gradients of the input, gain and bias, given that of the output, [rows, width]. */
  backward(outputGradient: tf.Tensor2D): LayerNormGradients;
}

export interface LayerNormGradients {
  readonly input: tf.Tensor2D;
  readonly gain: tf.Tensor1D;
  readonly bias: tf.Tensor1D;
}

/**
 * Layer normalisation (Ba, Kiros, Hinton 2016, arXiv 1607.06450) of each row of `input`
 * [rows, width], with `gain` and `bias` [width].
 */
export function layerNorm(input: tf.Tensor2D, gain: tf.Tensor1D, bias: tf.Tensor1D): LayerNorm {
  const normalisation = normalise(input);
  const { normalised } = normalisation;
  return {
    output: tf.add(tf.mul(normalised, gain), bias),
    backward: (outputGradient) => ({
      input: normaliseBackward(normalisation, tf.mul(outputGradient, gain)),
      gain: tf.sum(tf.mul(outputGradient, normalised), 0),
      bias: tf.sum(outputGradient, 0),
    }),
  };
}

export interface Normalisation {
  /** Each row with mean 0 and variance 1, [rows, width]. */
  readonly normalised: tf.Tensor2D;
  /** One over each row's standard deviation, [rows, 1]. */
  readonly inverseDeviation: tf.Tensor2D;
}

/** Brings each row of `input` [rows, width] to mean 0 and (population) variance 1. */
export function normalise(input: tf.Tensor2D): Normalisation {
  const centred = tf.sub<tf.Tensor2D>(input, tf.mean(input, 1, true));
  const variance = tf.mean<tf.Tensor2D>(tf.square(centred), 1, true);
  const inverseDeviation = tf.rsqrt(tf.add<tf.Tensor2D>(variance, layerNormEpsilon));
  return { normalised: tf.mul(centred, inverseDeviation), inverseDeviation };
}

/**
 * The input's gradient of `normalise`, in closed form: with x̂ the normalised row and g its
 * gradient, (g − mean(g) − x̂ · mean(g · x̂)) / deviation.
 */
export function normaliseBackward(
  { normalised, inverseDeviation }: Normalisation,
  gradient: tf.Tensor2D,
): tf.Tensor2D {
  const mean = tf.mean(gradient, 1, true);
  const projection = tf.mean(tf.mul(gradient, normalised), 1, true);
  const tangent = tf.sub(tf.sub(gradient, mean), tf.mul(normalised, projection));
  return tf.mul(tangent, inverseDeviation);
}
