import { type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import { broadcastShapes, type GraphBuilder } from '../graph-builder.ts';
import { sameShape } from '../tensor-spec.ts';
import { type RewriteRule, rewriteGraph, soleUseOf } from './rewrite-graph.ts';

/** Makes transposed operands of products, which then read them as they lie. */
export function absorbTransposes(graph: Graph): Graph {
  return rewriteGraph(graph, transposedOperands);
}

/** Makes a factor, then the addition of a bias or another matrix, part of the product before it. */
export function absorbFactorsAndAdditions(graph: Graph): Graph {
  return rewriteGraph(rewriteGraph(graph, factor), addition);
}

const transposedOperands: RewriteRule = (node, graph) => {
  if (node.operator !== 'Gemm') return undefined;
  const sources = node.inputs.map((input, index) => {
    const producer = graph.producer(input);
    return index < 2 && producer?.operator === 'Transpose' ? producer.inputs[0]! : input;
  });
  if (sources.every((source, index) => source === node.inputs[index])) return undefined;
  const flip = (name: 'transA' | 'transB', index: number) =>
    Number((node.attributes[name] === 1) !== (sources[index] !== node.inputs[index]));
  const attributes = { ...node.attributes, transA: flip('transA', 0), transB: flip('transB', 1) };
  return [graph.add('Gemm', sources, node.outputs[0]!, attributes)];
};

/** `c·(A·B)`, `(c·A)·B` and `A·(c·B)` become a product with factor c. */
const factor: RewriteRule = (node, graph, uses) => {
  if (node.operator === 'Mul') {
    const side = node.inputs.findIndex((input) => splatOf(input) !== undefined);
    if (side < 0) return undefined;
    const product = soleUseOf('Gemm', node.inputs[1 - side]!, graph, uses);
    if (product === undefined || product.inputs.length > 2) return undefined;
    return [scaled(product, product.inputs, splatOf(node.inputs[side])!, graph)];
  }
  if (node.operator !== 'Gemm' || node.inputs.length > 2) return undefined;
  let product = 1;
  const inputs = node.inputs.map((input) => {
    const scaling = soleUseOf('Mul', input, graph, uses);
    const side = scaling?.inputs.findIndex((each) => splatOf(each) !== undefined) ?? -1;
    if (scaling === undefined || side < 0) return input;
    product *= splatOf(scaling.inputs[side])!;
    return scaling.inputs[1 - side]!;
  });
  return product === 1 ? undefined : [scaled(node, inputs, product, graph)];
};

function scaled(
  product: GraphNode,
  inputs: readonly Value[],
  factor: number,
  graph: GraphBuilder,
): Value {
  const alpha = factor * ((product.attributes.alpha as number | undefined) ?? 1);
  return graph.add('Gemm', inputs, product.outputs[0]!, { ...product.attributes, alpha });
}

const addition: RewriteRule = (node, graph, uses) => {
  if (node.operator !== 'Add') return undefined;
  for (const [input, addend] of [node.inputs, node.inputs.toReversed()] as [Value, Value][]) {
    const product = soleUseOf('Gemm', input, graph, uses);
    if (product === undefined || product.inputs.length > 2) continue;
    if (addend.shape.length > 2) continue;
    // The product must not be what broadcasts.
    if (!sameShape(broadcastShapes(input.shape, addend.shape), input.shape)) continue;
    const inputs = [...product.inputs, addend];
    return [graph.add('Gemm', inputs, product.outputs[0]!, product.attributes)];
  }
  return undefined;
};
