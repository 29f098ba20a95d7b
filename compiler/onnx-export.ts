import type * as tf from '@tensorflow/tfjs-core';
import type { Graph, Value } from './graph.ts';
import { writeOnnxModel } from './onnx-model.ts';
import { removeDeadCode } from './passes/dead-code.ts';
import { lowerConvolutions } from './passes/lower-convolutions.ts';
import type { NamedTensors } from './safetensors.ts';
import { outputsOf, type TensorMap } from './step-function.ts';
import { checkData, checkSpec, checkSpecs, type TensorSpec } from './tensor-spec.ts';
import { inputPrefix, outputPrefix, refuseNoEffect, statePrefix, traceStep } from './trace-step.ts';

export interface ExportOptions {
  /** Become constants of the model, under these names. */
  readonly weights: NamedTensors;
  /** What the model is given; their shapes are fixed by it. */
  readonly inputs: Readonly<Record<string, TensorSpec>>;
}

/**
 * Writes a function of weights and inputs, in TensorFlow.js operations, as an ONNX model (operator set 18, no
 * operators but the standard's): for inference, where it is not optimised here but by what runs it.
 * Inputs and outputs have the names that the function gives them; a single tensor that it returns is `output`.
 * @returns the bytes of an `.onnx` file.
 * @throws CannotCompileError for what has no compiled form; TypeError or RangeError for weights that don't fit their
 * shapes and for names that are used twice; what the function throws.
 */
export function exportOnnx(
  fn: (weights: TensorMap, inputs: TensorMap) => TensorMap | tf.Tensor,
  { weights, inputs }: ExportOptions,
): Uint8Array<ArrayBuffer> {
  checkSpecs('Input', inputs);
  for (const [name, weight] of Object.entries(weights)) {
    checkSpec(`Weight '${name}'`, weight);
    checkData(`Weight '${name}'`, weight, weight.data);
  }
  const step = (state: TensorMap, given: TensorMap) => ({
    state: {},
    outputs: outputsOf(fn(state, given)),
  });
  const trace = traceStep(step, weights, inputs);
  refuseNoEffect(trace);
  const { graph: traced } = trace;
  const constants = new Map<Value, Value>();
  const constantNames = new Map<Value, string>();
  for (const [name, { data, dtype, shape }] of Object.entries(weights)) {
    const constant: Value = { dtype, shape, constant: { data } };
    constants.set(traced.inputs.get(statePrefix + name)!, constant);
    constantNames.set(constant, name);
  }
  const plain = lowerConvolutions(withConstants(traced, constants), 'any');
  const graph = removeDeadCode(plain);
  checkNames([...graph.inputs.keys(), ...graph.outputs.keys(), ...Object.keys(weights)]);
  return writeOnnxModel(graph, { outputName: (name) => name, constants: constantNames });
}

function withConstants(graph: Graph, constants: ReadonlyMap<Value, Value>): Graph {
  const replace = (value: Value): Value => constants.get(value) ?? value;
  const without = (values: ReadonlyMap<string, Value>, prefix: string) =>
    new Map(
      [...values]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => [name.slice(prefix.length), replace(value)]),
    );
  return {
    inputs: without(graph.inputs, inputPrefix),
    nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(replace) })),
    outputs: without(graph.outputs, outputPrefix),
  };
}

function checkNames(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new TypeError(
    `The name '${twice}' is used twice among inputs, outputs and weights; in an ONNX model each has its own.`,
  );
}
