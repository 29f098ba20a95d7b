import * as tf from '@tensorflow/tfjs-core';
import { CannotCompileError } from '../errors.ts';
import { describeSpec, sameShape, type TensorSpec } from './tensor-spec.ts';

/** Tensors by name. */
export type TensorMap = Readonly<Record<string, tf.Tensor>>;

export interface StepResult {
  /** New values of the state entries that the step updates; the others stay as they are. */
  readonly state: TensorMap;
  readonly outputs: TensorMap;
}

/**
 * One step over a state, in TensorFlow.js operations (its automatic gradients included). It must be
 * pure and synchronous: it is called once to be compiled, and what it does besides tensors happens
 * that once. Random numbers drawn in it would be the same at every run; hand them in as inputs.
 */
export type StepFunction = (state: TensorMap, inputs: TensorMap) => StepResult;

/** What a function returned as tensors by name. @throws CannotCompileError or TypeError for what can't be an output. */
export function outputsOf(result: unknown): TensorMap {
  if (result === undefined) return {};
  refusePromise('function', result);
  if (result instanceof tf.Tensor) return { output: result };
  if (typeof result === 'object' && result !== null) return result as TensorMap;
  throw new TypeError('A compiled function must return a tensor, an object of tensors or nothing.');
}

/** @throws CannotCompileError where what a `step` or `function` returned is a promise. */
export function refusePromise(what: string, result: unknown): void {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return;
  // What becomes of it is of no interest, and must not end the process.
  Promise.resolve(result).catch(() => {});
  throw new CannotCompileError(
    `The ${what} returned a promise; it must be synchronous, without async, await or tensor.data().`,
  );
}

/** @throws CannotCompileError or TypeError where a step doesn't return what `state` can take in. */
export function checkStepResult(
  result: StepResult,
  stateSpecs: Readonly<Record<string, TensorSpec>>,
): void {
  refusePromise('step', result);
  if (typeof result?.state !== 'object' || typeof result.outputs !== 'object') {
    throw new TypeError('A step must return { state, outputs }, two objects of tensors.');
  }
  for (const [name, tensor] of Object.entries(result.state)) {
    const spec = stateSpecs[name];
    if (spec === undefined) {
      throw new TypeError(
        `The step updates state '${name}', which there is not; ` +
          `there are: ${Object.keys(stateSpecs).join(', ')}.`,
      );
    }
    checkTensor(`The step's new state '${name}'`, tensor);
    if (tensor.dtype !== spec.dtype || !sameShape(tensor.shape, spec.shape)) {
      throw new TypeError(
        `The step gives state '${name}' ${describeSpec(tensor)}, expected ${describeSpec(spec)}.`,
      );
    }
  }
  for (const [name, tensor] of Object.entries(result.outputs)) {
    checkTensor(`The step's output '${name}'`, tensor);
  }
}

function checkTensor(what: string, tensor: tf.Tensor | undefined): void {
  if (typeof tensor?.dataId !== 'object') {
    throw new TypeError(`${what} is ${tensor === undefined ? 'undefined' : 'not a tensor'}.`);
  }
}
