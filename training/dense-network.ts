import * as tf from '@tensorflow/tfjs-core';
import { checkInteger } from './config-check.ts';
import { type Network, partOf } from './network.ts';
import {
  glorotUniform,
  heNormal,
  initialise,
  shapesOf,
  type TensorPlan,
} from './weight-initialisation.ts';

/** Layers of rectified units over numeric columns and embedded categorical ones. */
export interface DenseNetworkConfig {
  readonly numericColumns: number;
  readonly categoricalColumns: number;
  /** Values that a categorical column is hashed to; the columns have tables of their own. */
  readonly buckets: number;
  /** Width of one embedded categorical value. */
  readonly embeddingSize: number;
  readonly hiddenSizes: readonly number[];
  readonly classes: number;
}

/** The paper's network for Criteo's display ads: layers of 2560, 1024 and 256 units. */
export const criteoNetwork: DenseNetworkConfig = {
  numericColumns: 13,
  categoricalColumns: 26,
  buckets: 1000,
  embeddingSize: 16,
  hiddenSizes: [2560, 1024, 256],
  classes: 2,
};

/**
 * Inputs: `numeric` float32 [batch, numericColumns], `categories` int32 [batch, categoricalColumns],
 * each in 0 … buckets − 1. Targets int32 [batch].
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function denseNetwork(config: DenseNetworkConfig): Network {
  checkDenseNetworkConfig(config);
  const parameters = planParameters(config);
  const { numericColumns, categoricalColumns, classes } = config;
  return {
    classes,
    parameters: shapesOf(parameters),
    statistics: {},
    inputs: (batch) => ({
      ...(numericColumns > 0
        ? { numeric: { shape: [batch, numericColumns], dtype: 'float32' } as const }
        : {}),
      ...(categoricalColumns > 0
        ? { categories: { shape: [batch, categoricalColumns], dtype: 'int32' } as const }
        : {}),
    }),
    targetShape: (batch) => [batch],
    initialise: (seed) => initialise(parameters, seed),
    forward(values, _, inputs) {
      const parts = [
        ...(numericColumns > 0 ? [inputs.numeric as tf.Tensor2D] : []),
        ...(categoricalColumns > 0
          ? [embed(config, values.embedding as tf.Tensor2D, inputs.categories as tf.Tensor2D)]
          : []),
      ];
      const features = parts.length === 1 ? parts[0]! : tf.concat(parts, 1);
      const layer = (name: string, x: tf.Tensor2D): tf.Tensor2D => {
        const parameter = partOf(values, name);
        return tf.add(tf.matMul(x, parameter('weights') as tf.Tensor2D), parameter('bias'));
      };
      const hidden = config.hiddenSizes.reduce(
        (x, _size, index) => tf.relu(layer(`layer${index}`, x)),
        features,
      );
      return { logits: layer('output', hidden), statistics: {} };
    },
  };
}

/** All columns' tables are one matrix: a value's row is its own number after its column's start. */
function embed(
  { buckets, categoricalColumns, embeddingSize }: DenseNetworkConfig,
  embedding: tf.Tensor2D,
  categories: tf.Tensor2D,
): tf.Tensor2D {
  const starts = tf.range(0, categoricalColumns * buckets, buckets, 'int32');
  const rows = tf.gather(embedding, tf.add<tf.Tensor2D>(categories, starts));
  return tf.reshape(rows, [categories.shape[0], categoricalColumns * embeddingSize]);
}

function planParameters(config: DenseNetworkConfig): Record<string, TensorPlan> {
  const { numericColumns, categoricalColumns, buckets, embeddingSize, classes } = config;
  const plans: Record<string, TensorPlan> = {};
  if (categoricalColumns > 0) {
    plans.embedding = {
      shape: [categoricalColumns * buckets, embeddingSize],
      initialiser: { deviation: 1 / Math.sqrt(embeddingSize) },
    };
  }
  let inputs = numericColumns + categoricalColumns * embeddingSize;
  for (const [index, size] of config.hiddenSizes.entries()) {
    plans[`layer${index}/weights`] = { shape: [inputs, size], initialiser: heNormal(inputs) };
    plans[`layer${index}/bias`] = { shape: [size], initialiser: { constant: 0 } };
    inputs = size;
  }
  plans['output/weights'] = {
    shape: [inputs, classes],
    initialiser: glorotUniform(inputs, classes),
  };
  plans['output/bias'] = { shape: [classes], initialiser: { constant: 0 } };
  return plans;
}

/** @throws RangeError that names the field, its value and the values allowed. */
function checkDenseNetworkConfig(config: DenseNetworkConfig): void {
  checkInteger('numericColumns', config.numericColumns, 0);
  checkInteger('categoricalColumns', config.categoricalColumns, 0);
  checkInteger(
    'numericColumns + categoricalColumns',
    config.numericColumns + config.categoricalColumns,
    1,
  );
  checkInteger('buckets', config.buckets, 1);
  checkInteger('embeddingSize', config.embeddingSize, 1);
  checkInteger('classes', config.classes, 2);
  for (const [index, size] of config.hiddenSizes.entries()) {
    checkInteger(`hiddenSizes[${index}]`, size, 1);
  }
}
