import * as tf from '@tensorflow/tfjs-core';
import type { StepFunction, TensorSpec } from '../compiler/index.ts';

/** A step function with the state and inputs that it works on. */
export interface Step {
  readonly step: StepFunction;
  readonly state: Record<string, TensorSpec>;
  readonly inputs: Record<string, TensorSpec>;
}

/** Makes a step free all tensors that it doesn't return, where an engine runs it eagerly. */
export function tidyStep(step: StepFunction): StepFunction {
  return (state, inputs) =>
    tf.tidy(() => {
      const result = step(state, inputs);
      return { state: { ...result.state }, outputs: { ...result.outputs } };
    });
}

/** The entries whose names start with `prefix/`, named without it. */
export function entriesUnder<T>(
  map: Readonly<Record<string, T>>,
  prefix: string,
): Record<string, T> {
  const start = `${prefix}/`;
  return Object.fromEntries(
    Object.entries(map)
      .filter(([name]) => name.startsWith(start))
      .map(([name, tensor]) => [name.slice(start.length), tensor]),
  );
}

/** The same entries, each named `prefix/name`. */
export function placeUnder<T>(
  prefix: string,
  entries: Readonly<Record<string, T>>,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(entries).map(([name, value]) => [`${prefix}/${name}`, value]),
  );
}

/** Shapes as the specifications of float32 state entries, each named `prefix/name`. */
export function floatSpecs(
  prefix: string,
  shapes: Readonly<Record<string, readonly number[]>>,
): Record<string, TensorSpec> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      `${prefix}/${name}`,
      { shape, dtype: 'float32' },
    ]),
  );
}
