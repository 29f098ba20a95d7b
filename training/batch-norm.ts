import * as tf from '@tensorflow/tfjs-core';

const batchNormEpsilon = 1e-5;

/** Share of the running statistics that a step leaves as it is. */
const batchNormMomentum = 0.9;

export interface BatchNorm {
  /** `(x − mean) / deviation · gain + bias`, [rows, channels]. */
  readonly output: tf.Tensor2D;
  readonly mean: tf.Tensor1D;
  /** Of the population: divided by the number of rows. */
  readonly variance: tf.Tensor1D;
}

/**
 * Batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167) of `x` [rows, channels] by the
 * batch's own moments, with a gradient of its own: written out, the automatic one takes three times
 * as many passes over x. No gradient flows through the returned moments.
 */
export function batchNorm(x: tf.Tensor2D, gain: tf.Tensor1D, bias: tf.Tensor1D): BatchNorm {
  const rows = x.shape[0];
  const mean = tf.mean<tf.Tensor1D>(x, 0);
  const centred = tf.sub<tf.Tensor2D>(x, mean);
  const variance = tf.div<tf.Tensor1D>(tf.sum(tf.square(centred), 0), rows);
  const inverse = tf.rsqrt(tf.add<tf.Tensor1D>(variance, batchNormEpsilon));
  const normalise = tf.customGrad((...args) => {
    const [, scale, shift] = args as [tf.Tensor2D, tf.Tensor1D, tf.Tensor1D];
    const save = args[3] as unknown as tf.GradSaveFunc;
    save([centred, inverse, scale]);
    const value = tf.add(tf.mul(centred, tf.mul(inverse, scale)), shift);
    return { value, gradFunc: (dy, saved) => backward(dy as tf.Tensor2D, saved, rows) };
  });
  return { output: normalise(x, gain, bias) as tf.Tensor2D, mean, variance };
}

/**
 * With c the centred input and s = 1 / deviation: the gain's gradient is Σ dy·c·s, the bias's Σ dy,
 * and the input's gain·s · (dy − mean(dy) − c·s²·mean(dy·c)).
 */
function backward(dy: tf.Tensor2D, saved: tf.Tensor[], rows: number): tf.Tensor[] {
  const [centred, inverse, gain] = saved as [tf.Tensor2D, tf.Tensor1D, tf.Tensor1D];
  const sum = tf.sum(dy, 0);
  const projection = tf.sum(tf.mul(dy, centred), 0);
  const scale = tf.mul(gain, inverse);
  const along = tf.div(tf.mul(tf.mul(scale, tf.square(inverse)), projection), rows);
  const shift = tf.div(tf.mul(scale, sum), rows);
  const input = tf.sub(tf.sub(tf.mul(dy, scale), tf.mul(centred, along)), shift);
  return [input, tf.mul(projection, inverse), sum];
}

/** The same by running moments, for inference. */
export function batchNormByRunningMoments(
  x: tf.Tensor2D,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  mean: tf.Tensor1D,
  variance: tf.Tensor1D,
): tf.Tensor2D {
  const scale = tf.mul(gain, tf.rsqrt(tf.add(variance, batchNormEpsilon)));
  return tf.add(tf.mul(tf.sub(x, mean), scale), bias);
}

/** Moves a running moment towards the batch's. */
export function moveMoment(running: tf.Tensor, ofBatch: tf.Tensor): tf.Tensor {
  const share = 1 - batchNormMomentum;
  return tf.add(tf.mul(running, batchNormMomentum), tf.mul(ofBatch, share));
}
