import * as tf from '@tensorflow/tfjs-core';
import type { TensorMap } from '../compiler/index.ts';
import { batchNorm, batchNormByRunningMoments, moveMoment } from './batch-norm.ts';
import { checkInteger } from './config-check.ts';
import { type Network, type NetworkMode, partOf } from './network.ts';
import {
  glorotUniform,
  heNormal,
  initialise,
  shapesOf,
  type TensorPlan,
} from './weight-initialisation.ts';

/** A residual network (He et al. 2015, arXiv 1512.03385) over images of one size. */
export interface ResidualNetworkConfig {
  /** Pixels along each side of an image, or from top to bottom. */
  readonly imageSize: number;
  /** Pixels from left to right, of images that aren't square. */
  readonly imageWidth?: number;
  readonly channels: number;
  readonly classes: number;
  /** `basic`: two 3×3 convolutions a block; `bottleneck`: 1×1, 3×3 and 1×1, four times as wide. */
  readonly block: 'basic' | 'bottleneck';
  /** Blocks in each stage; each stage after the first halves the image and doubles the width. */
  readonly stages: readonly number[];
  /** Channels of the first stage. */
  readonly width: number;
  /** `small`: a 3×3 convolution, for images up to 64; `large`: 7×7 with strides of 2, then a pooling. */
  readonly stem: 'small' | 'large';
}

/** ResNet-18 as it is common on 32×32 images (11.2 million parameters for 10 classes). */
export const resNet18: ResidualNetworkConfig = {
  imageSize: 32,
  channels: 3,
  classes: 10,
  block: 'basic',
  stages: [2, 2, 2, 2],
  width: 64,
  stem: 'small',
};

/** ResNet-50 (25.6 million parameters for 1,000 classes), for small images by default. */
export const resNet50: ResidualNetworkConfig = {
  ...resNet18,
  imageSize: 64,
  classes: 1000,
  block: 'bottleneck',
  stages: [3, 4, 6, 3],
  stem: 'large',
};

const BOTTLENECK_FACTOR = 4;

interface Block {
  readonly name: string;
  readonly inputs: number;
  /** Channels inside; a bottleneck's result has four times as many. */
  readonly width: number;
  readonly outputs: number;
  readonly strides: 1 | 2;
}

/**
 * Inputs: `images` float32 [batch, imageSize, imageWidth, channels]. Targets int32 [batch].
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function residualNetwork(config: ResidualNetworkConfig): Network {
  checkResidualNetworkConfig(config);
  const blocks = blocksOf(config);
  const parameters = planParameters(config, blocks);
  const statistics = planStatistics(parameters);
  const { imageSize, imageWidth = imageSize, channels, classes } = config;
  return {
    classes,
    parameters: shapesOf(parameters),
    statistics: shapesOf(statistics),
    inputs: (batch) => ({
      images: { shape: [batch, imageSize, imageWidth, channels], dtype: 'float32' },
    }),
    targetShape: (batch) => [batch],
    initialise: (seed) => initialise({ ...parameters, ...statistics }, seed),
    forward(values, running, inputs, mode) {
      const pass = new ForwardPass(values, running, mode);
      const images = stem(config, pass, inputs.images as tf.Tensor4D);
      const features = blocks.reduce((x, block) => residualBlock(config, pass, block, x), images);
      const output = partOf(values, 'output');
      const pooled = tf.mean<tf.Tensor2D>(features, [1, 2]);
      const logits = tf.add(tf.matMul(pooled, output('weights') as tf.Tensor2D), output('bias'));
      return { logits: logits as tf.Tensor2D, statistics: pass.moved };
    },
  };
}

/** Convolutions with normalisation, by name; collects the statistics that they move. */
class ForwardPass {
  readonly moved: Record<string, tf.Tensor> = {};
  readonly #parameters: TensorMap;
  readonly #running: TensorMap;
  readonly #mode: NetworkMode;

  constructor(parameters: TensorMap, running: TensorMap, mode: NetworkMode) {
    this.#parameters = parameters;
    this.#running = running;
    this.#mode = mode;
  }

  convolve(name: string, x: tf.Tensor4D, strides: number): tf.Tensor4D {
    const parameter = partOf(this.#parameters, name);
    const convolved = tf.conv2d(x, parameter('filter') as tf.Tensor4D, strides, 'same');
    const [gain, bias] = [parameter('gain') as tf.Tensor1D, parameter('bias') as tf.Tensor1D];
    const rows = tf.reshape<tf.Rank.R2>(convolved, [-1, gain.size]);
    return tf.reshape(this.#normalise(name, rows, gain, bias), convolved.shape);
  }

  #normalise(name: string, x: tf.Tensor2D, gain: tf.Tensor1D, bias: tf.Tensor1D): tf.Tensor2D {
    const running = partOf(this.#running, name);
    const [mean, variance] = [running('mean'), running('variance')] as [tf.Tensor1D, tf.Tensor1D];
    if (this.#mode === 'inference') return batchNormByRunningMoments(x, gain, bias, mean, variance);
    const normalised = batchNorm(x, gain, bias);
    this.moved[`${name}/mean`] = moveMoment(mean, normalised.mean);
    this.moved[`${name}/variance`] = moveMoment(variance, normalised.variance);
    return normalised.output;
  }
}

function stem(config: ResidualNetworkConfig, pass: ForwardPass, images: tf.Tensor4D): tf.Tensor4D {
  if (config.stem === 'small') return tf.relu(pass.convolve('stem', images, 1));
  return tf.maxPool(tf.relu(pass.convolve('stem', images, 2)), 3, 2, 'same');
}

function residualBlock(
  config: ResidualNetworkConfig,
  pass: ForwardPass,
  { name, inputs, outputs, strides }: Block,
  x: tf.Tensor4D,
): tf.Tensor4D {
  const convolve = (part: string, input: tf.Tensor4D, by = 1) =>
    pass.convolve(`${name}/${part}`, input, by);
  const projected = strides !== 1 || inputs !== outputs;
  const shortcut = projected ? convolve('shortcut', x, strides) : x;
  const inner =
    config.block === 'basic'
      ? convolve('second', tf.relu(convolve('first', x, strides)))
      : convolve('third', tf.relu(convolve('second', tf.relu(convolve('first', x)), strides)));
  return tf.relu(tf.add(inner, shortcut));
}

function blocksOf({ block, stages, width }: ResidualNetworkConfig): readonly Block[] {
  const factor = block === 'basic' ? 1 : BOTTLENECK_FACTOR;
  let inputs = width;
  return stages.flatMap((count, stage) =>
    Array.from({ length: count }, (_, index): Block => {
      const inside = width * 2 ** stage;
      const made = {
        name: `stage${stage}/block${index}`,
        inputs,
        width: inside,
        outputs: inside * factor,
        strides: stage > 0 && index === 0 ? (2 as const) : (1 as const),
      };
      inputs = made.outputs;
      return made;
    }),
  );
}

function planParameters(
  config: ResidualNetworkConfig,
  blocks: readonly Block[],
): Record<string, TensorPlan> {
  const features = blocks.at(-1)!.outputs;
  const stemSize = config.stem === 'small' ? 3 : 7;
  return {
    ...planConvolution('stem', stemSize, config.channels, config.width),
    ...Object.assign({}, ...blocks.map((block) => planBlock(config, block))),
    'output/weights': {
      shape: [features, config.classes],
      initialiser: glorotUniform(features, config.classes),
    },
    'output/bias': { shape: [config.classes], initialiser: { constant: 0 } },
  };
}

function planBlock(
  config: ResidualNetworkConfig,
  { name, inputs, width, outputs, strides }: Block,
): Record<string, TensorPlan> {
  const shortcut =
    strides === 1 && inputs === outputs
      ? {}
      : planConvolution(`${name}/shortcut`, 1, inputs, outputs);
  // A last gain of zero makes a new block the identity (Goyal et al. 2017, arXiv 1706.02677).
  if (config.block === 'basic') {
    return {
      ...shortcut,
      ...planConvolution(`${name}/first`, 3, inputs, width),
      ...planConvolution(`${name}/second`, 3, width, outputs, 0),
    };
  }
  return {
    ...shortcut,
    ...planConvolution(`${name}/first`, 1, inputs, width),
    ...planConvolution(`${name}/second`, 3, width, width),
    ...planConvolution(`${name}/third`, 1, width, outputs, 0),
  };
}

function planConvolution(
  name: string,
  size: number,
  inputs: number,
  outputs: number,
  gain = 1,
): Record<string, TensorPlan> {
  return {
    [`${name}/filter`]: {
      shape: [size, size, inputs, outputs],
      initialiser: heNormal(size * size * inputs),
    },
    [`${name}/gain`]: { shape: [outputs], initialiser: { constant: gain } },
    [`${name}/bias`]: { shape: [outputs], initialiser: { constant: 0 } },
  };
}

/** One mean and one variance for each gain. */
function planStatistics(
  parameters: Readonly<Record<string, TensorPlan>>,
): Record<string, TensorPlan> {
  return Object.fromEntries(
    Object.entries(parameters)
      .filter(([name]) => name.endsWith('/gain'))
      .flatMap(([name, { shape }]): [string, TensorPlan][] => [
        [name.replace(/gain$/, 'mean'), { shape, initialiser: { constant: 0 } }],
        [name.replace(/gain$/, 'variance'), { shape, initialiser: { constant: 1 } }],
      ]),
  );
}

/** @throws RangeError that names the field, its value and the values allowed. */
function checkResidualNetworkConfig(config: ResidualNetworkConfig): void {
  const { imageSize, imageWidth = imageSize, channels, classes, stages, width } = config;
  checkInteger('imageSize', imageSize, 1);
  checkInteger('imageWidth', imageWidth, 1);
  checkInteger('channels', channels, 1);
  checkInteger('classes', classes, 2);
  checkInteger('width', width, 1);
  checkInteger('stages.length', stages.length, 1);
  for (const [index, blocks] of stages.entries()) checkInteger(`stages[${index}]`, blocks, 1);
}
