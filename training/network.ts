import type * as tf from '@tensorflow/tfjs-core';
import type { TensorMap, TensorSpec } from '../compiler/index.ts';

export interface NetworkOutput {
  /** [rows, classes] */
  readonly logits: tf.Tensor2D;
  /** New values of the running statistics; empty when they stay as they are. */
  readonly statistics: TensorMap;
}

/** `training` normalises by the batch and moves the running statistics, `inference` goes by them. */
export type NetworkMode = 'training' | 'inference';

/**
 * A network that classifies rows, as a pure function of its parameters. Gradients are automatic.
 * Targets have one class for each row of logits.
 */
export interface Network {
  readonly classes: number;
  /** Shapes by name, all float32. */
  readonly parameters: Readonly<Record<string, readonly number[]>>;
  /** Shapes of what is averaged over steps and not learned, such as a batch norm's moments. */
  readonly statistics: Readonly<Record<string, readonly number[]>>;
  /** What `forward` is given, for a batch of so many examples. */
  inputs(batch: number): Readonly<Record<string, TensorSpec>>;
  /** Shape of the int32 targets for such a batch; row-major like the logits. */
  targetShape(batch: number): readonly number[];
  forward(
    parameters: TensorMap,
    statistics: TensorMap,
    inputs: TensorMap,
    mode: NetworkMode,
  ): NetworkOutput;
  /** First values of parameters and statistics, repeatable by `seed` (an integer in 0 … 2⁵³ − 1). */
  initialise(seed: number): Record<string, Float32Array>;
}

/** Names parameters under a part of a network: `block3/filter`. */
export function partOf(entries: TensorMap, part: string): (name: string) => tf.Tensor {
  return (name) => {
    const tensor = entries[`${part}/${name}`];
    if (tensor === undefined) throw new RangeError(`There is no tensor '${part}/${name}'.`);
    return tensor;
  };
}
