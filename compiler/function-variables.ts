import * as tf from '@tensorflow/tfjs-core';
import type { TensorMap } from './step-function.ts';
import {
  byteLengthOf,
  type DType,
  type TensorData,
  type TensorSpec,
  viewOf,
} from './tensor-spec.ts';

/** All variables that TensorFlow.js knows of and that can be state, by name. */
export function registeredVariables(): ReadonlyMap<string, tf.Variable> {
  const all = Object.entries(tf.engine().state.registeredVariables);
  return new Map(all.filter(([, { dtype }]) => dtype !== 'string' && dtype !== 'complex64'));
}

export function specOf({ shape, dtype }: tf.Tensor): TensorSpec {
  return { shape, dtype: dtype as DType };
}

/**
 * Runs `body` while each variable has the value that `values` has under its name, and answers what
 * it returned and the new values of the variables that it assigned. The variables themselves are as
 * before when this returns.
 */
export function withVariableValues<Result>(
  variables: ReadonlyMap<string, tf.Variable>,
  values: TensorMap,
  body: () => Result,
): { readonly result: Result; readonly assigned: Record<string, tf.Tensor> } {
  const engine = tf.engine();
  const originals = [...variables].map(
    ([name, variable]) => [variable, variable.dataId, values[name]!.dataId] as const,
  );
  for (const [variable, , lent] of originals) pointAt(variable, lent);
  try {
    const result = body();
    const assigned: Record<string, tf.Tensor> = {};
    for (const [index, name] of [...variables.keys()].entries()) {
      const [variable, , lent] = originals[index]!;
      if (variable.dataId !== lent) assigned[name] = tf.clone(variable);
    }
    return { result, assigned };
  } finally {
    for (const [variable, original] of originals) {
      engine.disposeTensor(variable);
      variable.dataId = original;
    }
  }
}

/** What `assign` does, but for letting go of the value before, which comes back later. */
function pointAt(variable: tf.Variable, dataId: object): void {
  variable.dataId = dataId;
  tf.engine().incRef(variable, tf.backend());
}

/**
 * Runs `body` and tells the first value of each variable that it creates, which the same body may
 * assign anew at once.
 */
export function watchNewVariables<Result>(
  onCreated: (variable: tf.Variable, initial: tf.Tensor) => void,
  body: () => Result,
): Result {
  const engine = tf.engine();
  const create = engine.makeVariable;
  engine.makeVariable = (initial, ...rest) => {
    const variable = create.call(engine, initial, ...rest);
    onCreated(variable, initial);
    return variable;
  };
  try {
    return body();
  } finally {
    delete (engine as Partial<typeof engine>).makeVariable;
  }
}

/** Gives a variable that was created on a backend that is gone a value on the active one. */
export function settleVariable(variable: tf.Variable, data: TensorData): void {
  const value = copyOf(variable, data);
  pointAt(variable, value.dataId);
  value.dispose();
}

/** Writes a copy of `data` into a variable. */
export function writeVariable(variable: tf.Variable, data: TensorData): void {
  const value = copyOf(variable, data);
  variable.assign(value);
  value.dispose();
}

export function readVariable(variable: tf.Variable): TensorData {
  const spec = specOf(variable);
  const copy = viewOf(spec, new ArrayBuffer(byteLengthOf(spec)));
  copy.set(variable.dataSync() as TensorData);
  return copy;
}

function copyOf(variable: tf.Variable, data: TensorData): tf.Tensor {
  const { shape, dtype } = specOf(variable);
  return tf.tidy(() => tf.keep(tf.tensor(data.slice(), [...shape], dtype)));
}
