// Registers the gradients of all operations.
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';

export type Inputs = readonly (readonly number[])[];
export type Build = (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

export interface Case {
  readonly title: string;
  readonly shapes: Inputs;
  readonly build: Build;
  /** Maps the numbers in [−1, 1) that inputs are made of. */
  readonly range?: (x: number) => number;
}

export const positive = (x: number) => Math.abs(x) + 0.1;
export const wide = (x: number) => x * 6;
export const whole = (x: number) => Math.round(x * 5);
/** Halves: what rounding decides in different ways. */
export const halves = (x: number) => Math.round(x * 10) / 2;

export const anyShape: Inputs[] = [[[3, 4]], [[1]], [[]], [[2, 1, 3]], [[0, 3]]];
export const broadcasting: Inputs[] = [
  [
    [3, 4],
    [3, 4],
  ],
  [[3, 4], [4]],
  [
    [3, 1],
    [1, 4],
  ],
  [[2, 3, 4], []],
  [[1], [2, 1, 3]],
  [[0, 3], [3]],
];

export function over(
  name: string,
  shapes: readonly Inputs[],
  build: Build,
  range?: (x: number) => number,
): Case[] {
  return shapes.map((each) => ({
    title: `${name} of ${each.map((shape) => `[${shape}]`).join(', ')}`,
    shapes: each,
    build,
    ...(range ? { range } : {}),
  }));
}

export const int = (x: tf.Tensor) => tf.cast(x, 'int32');
export const bool = (x: tf.Tensor) => tf.greater(x, 0);
