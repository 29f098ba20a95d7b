import * as onnxruntime from 'onnxruntime-node';
import type { Graph, GraphNode, Value } from '../../compiler/graph.ts';
import { GraphBuilder } from '../../compiler/graph-builder.ts';
import { outputName, usedInputs, writeOnnxModel } from '../../compiler/onnx-model.ts';
import { sizeOf, type TensorData, type TensorSpec } from '../../compiler/tensor-spec.ts';

/** A graph with float32 inputs of the given shapes and whatever `build` makes of them. */
export function makeGraph(
  shapes: Readonly<Record<string, readonly number[]>>,
  build: (graph: GraphBuilder, inputs: Readonly<Record<string, Value>>) => Record<string, Value>,
): Graph {
  const builder = new GraphBuilder();
  const inputs = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]): [string, Value] => [
      name,
      { shape, dtype: 'float32' },
    ]),
  );
  const outputs = build(builder, inputs);
  return {
    inputs: new Map(Object.entries(inputs)),
    nodes: builder.nodes,
    outputs: new Map(Object.entries(outputs)),
  };
}

/** Runs a graph natively as it is: no passes of ours, none of onnxruntime's. */
export async function runGraph(
  graph: Graph,
  feeds: Readonly<Record<string, TensorData | Int8Array>>,
): Promise<Record<string, TensorData>> {
  const session = await onnxruntime.InferenceSession.create(writeOnnxModel(graph), {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
  });
  const tensors = [...usedInputs(graph)].map(([name, value]) => {
    const { dtype, shape } = value as TensorSpec;
    return [name, new onnxruntime.Tensor(dtype, feeds[name]!, shape)] as const;
  });
  const results = await session.run(Object.fromEntries(tensors));
  await session.release();
  return Object.fromEntries(
    [...graph.outputs.keys()].map((name) => [
      name,
      (results[outputName(name)] as onnxruntime.Tensor).data as TensorData,
    ]),
  );
}

/** Numbers in [−1, 1) that look random and are the same in every run; none is 0. */
export function someNumbers(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 31 - 1;
  });
}

/** `someNumbers` for every input of a graph. */
export function feedsFor(graph: Graph): Record<string, Float32Array> {
  return Object.fromEntries(
    [...graph.inputs].map(([name, { shape }], index) => [
      name,
      someNumbers(sizeOf(shape), index + 1),
    ]),
  );
}

/** The largest difference of two lists, relative to the largest number in them, or to `scaleMin`. */
export function largestDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  scaleMin = 1e-6,
): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let scale = Math.max(1e-6, scaleMin);
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i]!, expected[i]!];
    if (Object.is(a, b)) continue;
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, Math.abs(a - b));
    scale = Math.max(scale, Math.abs(a), Math.abs(b));
  }
  return difference / scale;
}

export function operatorsOf(graph: Graph): readonly string[] {
  return graph.nodes.map((node: GraphNode) => node.operator);
}

/** Runs a graph before and after a pass; answers the largest relative difference of any output. */
export async function differenceAfter(
  graph: Graph,
  rewritten: Graph,
  feeds: Readonly<Record<string, TensorData>> = feedsFor(graph),
): Promise<number> {
  const before = await runGraph(graph, feeds);
  const after = await runGraph(rewritten, feeds);
  const differences = Object.keys(before).map((name) =>
    largestDifference(after[name]!, before[name]!),
  );
  return Math.max(...differences);
}
