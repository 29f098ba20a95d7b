import * as tf from '@tensorflow/tfjs-core';
import { CannotCompileError } from '../errors.ts';
import { undoFirstUses } from './first-use.ts';
import {
  registeredVariables,
  settleVariable,
  specOf,
  watchNewVariables,
  withVariableValues,
} from './function-variables.ts';
import type { Value } from './graph.ts';
import { refuseKeptTensors } from './kept-tensors.ts';
import { type LayerClasses, type StatefulLayer, withLayerStates } from './layer-states.ts';
import { type Draw, replaceDraws } from './random-draws.ts';
import { outputsOf, type TensorMap } from './step-function.ts';
import { sizeOf, type TensorData, type TensorSpec, viewOf } from './tensor-spec.ts';
import type { TraceBackend } from './trace-backend.ts';
import { withTraceBackend } from './trace-step.ts';
import { captureCalls, placeInUserCode } from './user-code.ts';

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
  layerClasses: LayerClasses,
): Discovery {
  const created = new Map<tf.Variable, Creation>();
  try {
    return undoFirstUses(layerClasses.layer, () => {
      const { names, ...found } = observe(fn, signature, layerClasses, created);
      for (const [variable, creation] of created) settle(variable, creation);
      const all = registeredVariables();
      return { ...found, variables: new Map([...names].map((name) => [name, all.get(name)!])) };
    });
  } catch (error) {
    // What the function created has no value to go on with.
    for (const variable of created.keys()) variable.dispose();
    throw error;
  }
}

/** The first value of a variable that the function created, and the calls that did. */
interface Creation {
  readonly initial: Value;
  readonly calls: Error;
}

function observe(
  fn: TensorFunction,
  signature: Readonly<Record<string, TensorSpec>>,
  layerClasses: LayerClasses,
  created: Map<tf.Variable, Creation>,
): Omit<Discovery, 'variables'> & { readonly names: ReadonlySet<string> } {
  const known = registeredVariables();
  const draws: Draw[] = [];
  return withTraceBackend((backend) => {
    const values = new Map(
      [...known].map(([name, variable]) => [name, valueWith(specOf(variable))] as const),
    );
    const standIns = Object.fromEntries(
      [...values].map(([name, value]) => [name, backend.placeholder(value)]),
    );
    const standInFor = (draw: Draw): tf.Tensor => {
      draws.push(draw);
      return backend.placeholder(valueWith({ shape: draw.shape, dtype: 'float32' }));
    };
    const onCreated = (variable: tf.Variable, initial: tf.Tensor): void => {
      created.set(variable, { initial: backend.valueFor(initial), calls: captureCalls() });
    };
    const call = () => {
      const outputs = Object.values(outputsOf(fn(placeholders(backend, signature))));
      return outputs
        .filter((each) => each instanceof tf.Tensor)
        .map((each) => backend.valueFor(each));
    };
    const { result, assigned } = withVariableValues(known, standIns, () =>
      watchNewVariables(onCreated, () =>
        replaceDraws(standInFor, () =>
          refuseKeptTensors(backend, () => {
            const { result: returned, states } = withLayerStates(
              layerClasses.stateful,
              new Map(),
              call,
            );
            return { returned, layers: [...states.keys()] };
          }),
        ),
      ),
    );
    checkLayerNames(result.layers);
    for (const variable of created.keys()) tf.engine().disposeTensor(variable);
    const read = new Set([
      ...backend.builder.nodes.flatMap(({ inputs }) => inputs),
      ...result.returned,
    ]);
    const used = [...known.keys()].filter(
      (name) => name in assigned || read.has(values.get(name)!),
    );
    const names = new Set([...used, ...[...created.keys()].map(({ name }) => name)]);
    return { names, layers: result.layers, draws };
  });
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

function settle(variable: tf.Variable, { initial, calls }: Creation): void {
  const { constant } = initial;
  if (constant === undefined) {
    throw new CannotCompileError(
      `The function creates the variable '${variable.name}'${placeInUserCode(calls)} from a value that it ` +
        'computes. Create it before the function is compiled; if it is the weight of a layer, build() or apply() the ' +
        'layer first.',
    );
  }
  const spec = specOf(variable);
  if ('data' in constant) settleVariable(variable, constant.data as TensorData);
  else {
    const bytes = new ArrayBuffer(sizeOf(spec.shape) * (spec.dtype === 'bool' ? 1 : 4));
    settleVariable(variable, viewOf(spec, bytes).fill(constant.splat));
  }
}
