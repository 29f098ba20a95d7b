import * as tf from '@tensorflow/tfjs-core';
import { CannotCompileError } from '../errors.ts';
import {
  registeredVariables,
  settleVariable,
  specOf,
  watchNewVariables,
  withVariableValues,
} from './function-variables.ts';
import type { Value } from './graph.ts';
import { refuseKeptTensors } from './kept-tensors.ts';
import { type StatefulLayer, withLayerStates } from './layer-states.ts';
import { type Draw, replaceDraws } from './random-draws.ts';
import { refusePromise, type TensorMap } from './step-function.ts';
import { sizeOf, type TensorData, type TensorSpec, viewOf } from './tensor-spec.ts';
import type { TraceBackend } from './trace-backend.ts';
import { withTraceBackend } from './trace-step.ts';

/** A function of named tensors; it may read and assign variables, and draw random numbers. */
export type TensorFunction<Name extends string = string> = (
  inputs: Readonly<Record<Name, tf.Tensor>>,
  // biome-ignore lint/suspicious/noConfusingVoidType: a function that only updates returns nothing.
) => TensorMap | tf.Tensor | void;

export interface Discovery {
  /** The variables that the function reads or assigns, those that it created among them. */
  readonly variables: ReadonlyMap<string, tf.Variable>;
  /** Layers that carry tensors from call to call. */
  readonly layers: readonly StatefulLayer[];
  /** In the order in which the function draws them. */
  readonly draws: readonly Draw[];
}

/**
 * Calls a function once, on stand-ins for all that it may read, to find out what it works on.
 * Optimizers create their moments in their first call: those variables are there, with their first
 * values, when this returns. All other variables are as they were.
 * @throws CannotCompileError for what has no compiled form; what the function throws.
 */
export function discover(
  fn: TensorFunction,
  signature: Readonly<Record<string, TensorSpec>>,
  layerClasses: readonly StatefulLayer[],
): Discovery {
  const known = registeredVariables();
  const draws: Draw[] = [];
  const created = new Map<tf.Variable, Value>();
  let layers: readonly StatefulLayer[] = [];
  try {
    const used = withTraceBackend((backend) => {
      const values = new Map(
        [...known].map(([name, variable]) => [name, valueWith(specOf(variable))] as const),
      );
      const standIns = Object.fromEntries(
        [...values].map(([name, value]) => [name, backend.placeholder(value)]),
      );
      const { assigned } = withVariableValues(known, standIns, () =>
        watchNewVariables(
          (variable, initial) => created.set(variable, backend.valueFor(initial)),
          () =>
            replaceDraws(
              (draw) => {
                draws.push(draw);
                return backend.placeholder(valueWith({ shape: draw.shape, dtype: 'float32' }));
              },
              () => {
                const call = () => callFunction(fn, placeholders(backend, signature));
                layers = refuseKeptTensors(backend, () => [
                  ...withLayerStates(layerClasses, new Map(), call).states.keys(),
                ]);
                checkLayerNames(layers);
              },
            ),
        ),
      );
      for (const variable of created.keys()) tf.engine().disposeTensor(variable);
      const read = new Set(backend.builder.nodes.flatMap((node) => node.inputs));
      return [...known.keys()].filter((name) => name in assigned || read.has(values.get(name)!));
    });
    const names = new Set([...used, ...[...created.keys()].map(({ name }) => name)]);
    for (const [variable, initial] of created) settle(variable, initial);
    const all = registeredVariables();
    return { variables: new Map([...names].map((name) => [name, all.get(name)!])), layers, draws };
  } catch (error) {
    // What the function created has no value to go on with.
    for (const { name } of created.keys()) delete tf.engine().state.registeredVariables[name];
    throw error;
  }
}

/** @throws CannotCompileError or TypeError where a function doesn't return what can be an output. */
export function callFunction(fn: TensorFunction, inputs: TensorMap): TensorMap {
  const result = fn(inputs);
  if (result === undefined) return {};
  refusePromise('function', result);
  if (result instanceof tf.Tensor) return { output: result };
  if (typeof result === 'object' && result !== null) return result;
  throw new TypeError('A compiled function must return a tensor, an object of tensors or nothing.');
}

function checkLayerNames(layers: readonly StatefulLayer[]): void {
  for (const [index, { name }] of layers.entries()) {
    if (layers.findIndex((layer) => layer.name === name) === index) continue;
    throw new CannotCompileError(
      `Two stateful layers are called '${name}'; give one of them another name.`,
    );
  }
}

function placeholders(
  backend: TraceBackend,
  specs: Readonly<Record<string, TensorSpec>>,
): TensorMap {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, backend.placeholder(valueWith(spec))]),
  );
}

function valueWith({ shape, dtype }: TensorSpec): Value {
  return { shape, dtype };
}

function settle(variable: tf.Variable, initial: Value): void {
  const { constant } = initial;
  if (constant === undefined) {
    throw new CannotCompileError(
      `The function creates the variable '${variable.name}' from a value that it computes; create ` +
        'it before the function is compiled.',
    );
  }
  const spec = specOf(variable);
  if ('data' in constant) settleVariable(variable, constant.data as TensorData);
  else {
    const bytes = new ArrayBuffer(sizeOf(spec.shape) * (spec.dtype === 'bool' ? 1 : 4));
    settleVariable(variable, viewOf(spec, bytes).fill(constant.splat));
  }
}
