import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import type { ExecutionContext } from 'ava';
import type { TensorMap } from '../../compiler/index.ts';
import {
  createRandomGenerator,
  initialiseParameters,
  type LanguageModelConfig,
  languageModelParameters,
  recurrentStateShapes,
} from '../../training/index.ts';

await tf.setBackend('cpu');

/** Small enough for finite differences, with every part of the model in it. */
export const tinyModel: LanguageModelConfig = {
  vocabularySize: 11,
  embeddingSize: 3,
  hiddenSize: 4,
  layers: 2,
};

/** Fails unless the values are within `tolerance` of those expected, one by one. */
export function close(
  t: ExecutionContext,
  actual: tf.Tensor | readonly number[],
  expected: tf.Tensor | readonly number[],
  tolerance = 1e-5,
): void {
  const values = numbers(actual);
  const wanted = numbers(expected);
  t.is(values.length, wanted.length);
  const differences = values.map((value, index) => Math.abs(value - wanted[index]!));
  const within = differences.every((difference) => difference <= tolerance);
  const worst = differences.indexOf(Math.max(...differences));
  t.true(within, `value ${worst} is ${values[worst]}, not ${wanted[worst]} within ${tolerance}`);
}

/** A tensor's values, or the numbers themselves. */
export function numbers(values: tf.Tensor | readonly number[]): number[] {
  return values instanceof tf.Tensor ? [...values.dataSync()] : [...values];
}

/** The model's first parameters as tensors. */
export function parameterTensors(config: LanguageModelConfig, seed: number): TensorMap {
  const values = initialiseParameters(config, seed);
  return mapValues(languageModelParameters(config), (shape, name) =>
    tf.tensor(values[name]!, [...shape]),
  );
}

/** A recurrent state that is not zero, as in the middle of a text. */
export function recurrentTensors(
  config: LanguageModelConfig,
  batch: number,
  seed: number,
): TensorMap {
  return mapValues(recurrentStateShapes(config, batch), (shape, name) =>
    uniform([...shape], 0.9, seed, name),
  );
}

/** Numbers in ±bound. */
export function uniform(shape: number[], bound: number, seed: number, stream = ''): tf.Tensor {
  const random = createRandomGenerator(seed, stream);
  const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () =>
    random.nextUniform(-bound, bound),
  );
  return tf.tensor(values, shape);
}

/** Random word pieces, int32 [batch, time]. */
export function randomTokens(
  { vocabularySize }: LanguageModelConfig,
  batch: number,
  time: number,
  seed: number,
): tf.Tensor2D {
  const random = createRandomGenerator(seed, 'tokens');
  const pieces = Int32Array.from(
    { length: batch * time },
    () => random.nextUint32() % vocabularySize,
  );
  return tf.tensor2d(pieces, [batch, time], 'int32');
}

export function mapValues<T, R>(
  entries: Readonly<Record<string, T>>,
  change: (value: T, name: string) => R,
): Record<string, R> {
  return Object.fromEntries(
    Object.entries(entries).map(([name, value]) => [name, change(value, name)]),
  );
}
