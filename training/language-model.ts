import * as tf from '@tensorflow/tfjs-core';
import type { TensorMap } from '../compiler/index.ts';
import type { LanguageModelConfig } from './language-model-config.ts';
import { type LstmLayer, type LstmLayerParameters, lstmLayer } from './lstm-layer.ts';
import { timeMajor } from './row-order.ts';

export interface LanguageModelOutput {
  /** Time-major: [time·batch, vocabulary], row t·batch + b; `timeMajor` orders targets alike. */
  readonly logits: tf.Tensor2D;
  /** After the window, named as `recurrentStateShapes` does. */
  readonly recurrentState: TensorMap;
  /**
   * Gradients of all parameters. `rowGradients` [time·batch, vocabulary] are those of each row's
   * own loss for its logits; the result is the gradient of the rows' mean loss. Truncated: none
   * flows into the recurrent state that the window started from.
   */
  backward(rowGradients: tf.Tensor2D): Record<string, tf.Tensor>;
}

/**
 * The language model over one window: embedding, layers of layer-normalised LSTM, output layer.
 * `tokens` is int32 [batch, time]; `parameters` and `recurrentState` are named as
 * `languageModelParameters` and `recurrentStateShapes` do.
 */
export function forward(
  config: LanguageModelConfig,
  parameters: TensorMap,
  recurrentState: TensorMap,
  tokens: tf.Tensor2D,
): LanguageModelOutput {
  const time = tokens.shape[1];
  const pieces = timeMajor(tokens);
  const embedding = parameters.embedding as tf.Tensor2D;
  let hidden = tf.gather(embedding, pieces);
  const layers: LstmLayer[] = [];
  for (let index = 0; index < config.layers; index++) {
    const state = {
      hidden: recurrentState[`layer${index}/hidden`] as tf.Tensor2D,
      cell: recurrentState[`layer${index}/cell`] as tf.Tensor2D,
    };
    const layer = lstmLayer(layerParameters(parameters, index), hidden, state, time);
    layers.push(layer);
    hidden = layer.output;
  }
  const outputWeights = parameters['output/weights'] as tf.Tensor2D;
  const outputBias = parameters['output/bias'] as tf.Tensor1D;
  const last = hidden;
  return {
    logits: tf.add(tf.matMul(last, outputWeights), outputBias),
    recurrentState: Object.fromEntries(
      layers.flatMap(({ state }, index) => [
        [`layer${index}/hidden`, state.hidden],
        [`layer${index}/cell`, state.cell],
      ]),
    ),
    backward(rowGradients) {
      // The mean's division by the rows is done on the narrow side of both products.
      const share = 1 / rowGradients.shape[0];
      const gradients: Record<string, tf.Tensor> = {
        'output/weights': tf.matMul(tf.mul(last, share), rowGradients, true, false),
        'output/bias': tf.mul(tf.sum(rowGradients, 0), share),
      };
      let gradient = tf.mul<tf.Tensor2D>(
        tf.matMul(rowGradients, outputWeights, false, true),
        share,
      );
      for (const [index, layer] of [...layers.entries()].reverse()) {
        const { input, parameters: ofLayer } = layer.backward(gradient);
        for (const [name, value] of Object.entries(ofLayer)) {
          gradients[`layer${index}/${name}`] = value;
        }
        gradient = input;
      }
      gradients.embedding = addRows(gradient, pieces, embedding.shape);
      return gradients;
    },
  };
}

/** A matrix of `shape` whose row r is the sum of the `rows` whose index is r. */
function addRows(rows: tf.Tensor2D, indices: tf.Tensor1D, shape: [number, number]): tf.Tensor2D {
  return tf.scatterND(tf.reshape(indices, [indices.size, 1]), rows, shape);
}

function layerParameters(parameters: TensorMap, index: number): LstmLayerParameters {
  const named = <T extends tf.Tensor>(name: string): T => parameters[`layer${index}/${name}`] as T;
  return {
    inputWeights: named('inputWeights'),
    inputGain: named('inputGain'),
    recurrentWeights: named('recurrentWeights'),
    recurrentGain: named('recurrentGain'),
    bias: named('bias'),
    cellGain: named('cellGain'),
    cellBias: named('cellBias'),
  };
}
