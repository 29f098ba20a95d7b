import { absentValue, type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import { rewriteGraph, soleUseOf } from './rewrite-graph.ts';

/** An input of the graph, as int8 with one scale for each column. */
export interface QuantisedInput {
  /** The graph's input of f32 that it stands for, [rows, columns]. */
  readonly source: string;
  /** Names of the graph's inputs: int8 [rows, columns] and float32 [columns]. */
  readonly values: string;
  readonly scales: string;
}

export interface QuantisedGraph {
  readonly graph: Graph;
  readonly inputs: readonly QuantisedInput[];
}

/**
 * Computes products whose right operand is one of the inputs named in `sources` with int8: the
 * operand comes in as int8 with a scale for each column, the left one is quantised as the product
 * runs (unsigned, one scale for all of it). Products that read the operand in another way stay f32.
 */
export function quantiseProducts(graph: Graph, sources: ReadonlySet<string>): QuantisedGraph {
  const names = new Map<Value, string>();
  for (const [name, value] of graph.inputs) if (sources.has(name)) names.set(value, name);
  const inputs = new Map(graph.inputs);
  const quantised = new Map<Value, readonly [values: Value, scales: Value]>();
  const quantise = (right: Value): readonly [Value, Value] => {
    const known = quantised.get(right);
    if (known !== undefined) return known;
    const source = names.get(right)!;
    const pair = [
      { shape: right.shape, dtype: 'int8' },
      { shape: [right.shape[1]!], dtype: 'float32' },
    ] as const;
    const { values, scales } = nameInputs(source);
    inputs.set(values, pair[0]);
    inputs.set(scales, pair[1]);
    quantised.set(right, pair);
    return pair;
  };
  const products = rewriteGraph(graph, (node, builder) => {
    if (!isPlainProduct(node)) return undefined;
    const [left, right] = node.inputs as [Value, Value];
    if (!names.has(right)) return undefined;
    const operands = [left, ...quantise(right)];
    return [builder.add('DynamicQuantizeMatMul', operands, node.outputs[0]!)];
  });
  const { nodes, outputs } = absorbBiases(products);
  return {
    graph: { inputs, nodes, outputs },
    inputs: [...quantised.keys()].map((right) => nameInputs(names.get(right)!)),
  };
}

function nameInputs(source: string): QuantisedInput {
  return { source, values: `int8:${source}`, scales: `scales:${source}` };
}

function isPlainProduct({ operator, inputs, attributes }: GraphNode): boolean {
  if (operator !== 'Gemm' || inputs.length !== 2) return false;
  const { transA, transB, alpha } = attributes;
  return transA !== 1 && transB !== 1 && alpha === undefined;
}

/** A bias of one number for each column is added as the product is scaled back. */
function absorbBiases(graph: Graph): Graph {
  return rewriteGraph(graph, (node, builder, uses) => {
    if (node.operator !== 'Add') return undefined;
    for (const [input, bias] of [node.inputs, node.inputs.toReversed()] as [Value, Value][]) {
      const product = soleUseOf('DynamicQuantizeMatMul', input, builder, uses);
      if (product === undefined || product.inputs.length > 3) continue;
      if (bias.shape.length !== 1 || bias.shape[0] !== input.shape[1]) continue;
      if (splatOf(bias) !== undefined) continue;
      const operands = [...product.inputs, absentValue, bias];
      return [builder.add('DynamicQuantizeMatMul', operands, node.outputs[0]!)];
    }
    return undefined;
  });
}
