import * as tf from '@tensorflow/tfjs-core';
import type { TensorMap } from '../compiler/index.ts';
import { checkInteger } from './config-check.ts';
import { layerNorm } from './layer-norm.ts';
import { type Network, partOf } from './network.ts';
import { initialise, shapesOf, type TensorPlan } from './weight-initialisation.ts';

/** A transformer language model (Radford et al. 2019): normalisation first, learned positions. */
export interface TransformerConfig {
  readonly vocabularySize: number;
  /** Word pieces in a window: the longest context. */
  readonly time: number;
  /** Width of the residual stream, a multiple of `heads`. */
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
}

/** Small enough to train on a processor: 7.4 million parameters. */
export const smallTransformer: TransformerConfig = {
  vocabularySize: 8192,
  time: 128,
  width: 256,
  heads: 4,
  layers: 4,
};

/**
 * Inputs: `tokens` int32 [batch, time]. Targets int32 [batch, time]: each piece's successor.
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function transformer(config: TransformerConfig): Network {
  checkTransformerConfig(config);
  const parameters = planParameters(config);
  const { vocabularySize, time, width } = config;
  return {
    classes: vocabularySize,
    parameters: shapesOf(parameters),
    statistics: {},
    inputs: (batch) => ({ tokens: { shape: [batch, time], dtype: 'int32' } }),
    targetShape: (batch) => [batch, time],
    initialise: (seed) => initialise(parameters, seed),
    forward(values, _, inputs) {
      const tokens = inputs.tokens as tf.Tensor2D;
      const batch = tokens.shape[0];
      const pieces = tf.gather(values.embedding as tf.Tensor2D, tokens);
      const placed = tf.add(pieces, values.positions as tf.Tensor2D);
      let stream = tf.reshape<tf.Rank.R2>(placed, [batch * time, width]);
      for (let index = 0; index < config.layers; index++) {
        stream = layer(config, values, `layer${index}`, stream, batch);
      }
      const last = normalise(values, 'output/norm', stream);
      const logits = tf.matMul<tf.Tensor2D>(last, values['output/weights'] as tf.Tensor2D);
      return { logits, statistics: {} };
    },
  };
}

/** `stream` is [batch·time, width]; each half adds what it found to it. */
function layer(
  config: TransformerConfig,
  values: TensorMap,
  name: string,
  stream: tf.Tensor2D,
  batch: number,
): tf.Tensor2D {
  const attended = tf.add<tf.Tensor2D>(
    stream,
    attention(config, values, name, normalise(values, `${name}/attention/norm`, stream), batch),
  );
  const normalised = normalise(values, `${name}/units/norm`, attended);
  const hidden = gelu(linear(values, `${name}/units/in`, normalised));
  return tf.add(attended, linear(values, `${name}/units/out`, hidden));
}

function attention(
  { time, width, heads }: TransformerConfig,
  values: TensorMap,
  name: string,
  x: tf.Tensor2D,
  batch: number,
): tf.Tensor2D {
  const size = width / heads;
  const projected = linear(values, `${name}/attention/in`, x);
  // [batch·time, 3·width] to three times [batch, heads, time, size].
  const parts = tf.split(projected, 3, 1).map((part) => {
    const byHead = tf.reshape<tf.Rank.R4>(part, [batch, time, heads, size]);
    return tf.transpose(byHead, [0, 2, 1, 3]);
  });
  const [queries, keys, contents] = parts as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
  const scores = tf.mul(tf.matMul(queries, keys, false, true), 1 / Math.sqrt(size));
  const weights = tf.softmax(tf.add(scores, causalMask(time)));
  const mixed = tf.transpose<tf.Tensor4D>(
    tf.matMul<tf.Tensor4D>(weights as tf.Tensor4D, contents),
    [0, 2, 1, 3],
  );
  const joined = tf.reshape<tf.Rank.R2>(mixed, [batch * time, width]);
  return linear(values, `${name}/attention/out`, joined);
}

/** [time, time]: what a piece may not look at is as good as minus infinity. */
function causalMask(time: number): tf.Tensor2D {
  const places = tf.range(0, time, 1, 'int32');
  const later = tf.greater<tf.Tensor2D>(
    tf.reshape(places, [1, time]),
    tf.reshape(places, [time, 1]),
  );
  return tf.mul(tf.cast<tf.Tensor2D>(later, 'float32'), -1e9);
}

function linear(values: TensorMap, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const parameter = partOf(values, name);
  const product = tf.matMul<tf.Tensor2D>(x, parameter('weights') as tf.Tensor2D);
  return tf.add(product, parameter('bias'));
}

/** x · Φ(x), with the error function itself (Hendrycks and Gimpel 2016). */
function gelu(x: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
}

/** Layer normalisation with the closed form of its gradient. */
function normalise(values: TensorMap, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const parameter = partOf(values, name);
  const run = tf.customGrad((...args) => {
    const [input, gain, bias] = args as [tf.Tensor2D, tf.Tensor1D, tf.Tensor1D];
    const save = args[3] as unknown as tf.GradSaveFunc;
    save([input, gain, bias]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [x, ...rest] = saved as [tf.Tensor2D, tf.Tensor1D, tf.Tensor1D];
      const gradients = layerNorm(x, ...rest).backward(dy as tf.Tensor2D);
      return [gradients.input, gradients.gain, gradients.bias];
    };
    return { value: layerNorm(input, gain, bias).output, gradFunc };
  });
  return run(x, parameter('gain'), parameter('bias')) as tf.Tensor2D;
}

function planParameters(config: TransformerConfig): Record<string, TensorPlan> {
  const { vocabularySize, time, width, layers } = config;
  const weights = (inputs: number, outputs: number, scale = 1): TensorPlan => ({
    shape: [inputs, outputs],
    initialiser: { deviation: 0.02 * scale },
  });
  const vector = (size: number, constant: number): TensorPlan => ({
    shape: [size],
    initialiser: { constant },
  });
  // What is added to the stream is scaled down, so that its variance doesn't grow with the layers.
  const residual = 1 / Math.sqrt(2 * layers);
  const plans: Record<string, TensorPlan> = {
    embedding: weights(vocabularySize, width),
    positions: weights(time, width),
  };
  for (let index = 0; index < layers; index++) {
    const name = `layer${index}`;
    Object.assign(plans, {
      [`${name}/attention/norm/gain`]: vector(width, 1),
      [`${name}/attention/norm/bias`]: vector(width, 0),
      [`${name}/attention/in/weights`]: weights(width, 3 * width),
      [`${name}/attention/in/bias`]: vector(3 * width, 0),
      [`${name}/attention/out/weights`]: weights(width, width, residual),
      [`${name}/attention/out/bias`]: vector(width, 0),
      [`${name}/units/norm/gain`]: vector(width, 1),
      [`${name}/units/norm/bias`]: vector(width, 0),
      [`${name}/units/in/weights`]: weights(width, 4 * width),
      [`${name}/units/in/bias`]: vector(4 * width, 0),
      [`${name}/units/out/weights`]: weights(4 * width, width, residual),
      [`${name}/units/out/bias`]: vector(width, 0),
    });
  }
  return {
    ...plans,
    'output/norm/gain': vector(width, 1),
    'output/norm/bias': vector(width, 0),
    'output/weights': weights(width, vocabularySize),
  };
}

/** @throws RangeError that names the field, its value and the values allowed. */
function checkTransformerConfig(config: TransformerConfig): void {
  checkInteger('vocabularySize', config.vocabularySize, 2);
  checkInteger('time', config.time, 1);
  checkInteger('width', config.width, 1);
  checkInteger('heads', config.heads, 1);
  checkInteger('layers', config.layers, 1);
  if (config.width % config.heads !== 0) {
    throw new RangeError(
      `width is ${config.width}: it must be a multiple of heads, which is ${config.heads}`,
    );
  }
}
