import type { Tensor } from '@tensorflow/tfjs-core';

/** Tensors by name. */
export type TensorMap = Readonly<Record<string, Tensor>>;

/** One step over a state: pure TensorFlow.js operations, so that it can be traced. */
export type StepFunction = (
  state: TensorMap,
  inputs: TensorMap,
) => { readonly state: TensorMap; readonly outputs: TensorMap };

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool';
}
