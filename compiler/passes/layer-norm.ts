import { type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { type RewriteRule, rewriteGraph, soleUseOf } from './rewrite-graph.ts';

/**
 * Recognises the normalisation of rows and makes it one operation of the engine:
 *
 *     d = x − mean(x);  r = 1 / √(mean(d²) + ε);  d · r
 *
 * with means over the last axis. Written out it is nine passes over x; `r`, which the gradient
 * needs, comes out of the one operation as well.
 */
export function fuseLayerNorm(graph: Graph): Graph {
  const fused = new Map<Value, readonly Value[]>();
  return rewriteGraph(graph, (node, builder) => {
    const [output] = node.outputs as [Value];
    if (node.operator === 'Reciprocal') {
      const norm = matchInverseDeviation(node, builder);
      if (norm === undefined) return undefined;
      const results = normalise(norm, builder);
      fused.set(results[2]!, [norm.centred, results[0]!]);
      return [results[2]!];
    }
    if (node.operator !== 'Mul') return undefined;
    for (const [centred, inverse] of [node.inputs, node.inputs.toReversed()] as [Value, Value][]) {
      const [of, normalised] = fused.get(inverse) ?? [];
      if (of !== undefined && of === centred && normalised?.dtype === output.dtype) {
        return [normalised];
      }
    }
    return undefined;
  });
}

interface Normalisation {
  readonly x: Value;
  readonly centred: Value;
  readonly epsilon: number;
}

/** Follows `1 / √(mean((x − mean(x))²) + ε)` upwards from its reciprocal. */
function matchInverseDeviation(node: GraphNode, builder: GraphBuilder): Normalisation | undefined {
  const root = ofOperator('Sqrt', node.inputs[0], builder);
  const shifted = ofOperator('Add', root?.inputs[0], builder);
  if (shifted === undefined) return undefined;
  const side = shifted.inputs.findIndex((input) => splatOf(input) !== undefined);
  if (side < 0) return undefined;
  const variance = lastAxisMean(shifted.inputs[1 - side], builder);
  const square = ofOperator('Mul', variance, builder);
  const centred = square?.inputs[0];
  if (square === undefined || square.inputs[1] !== centred) return undefined;
  const difference = ofOperator('Sub', centred, builder);
  const [x, mean] = difference?.inputs ?? [];
  if (x === undefined || lastAxisMean(mean, builder) !== x) return undefined;
  return { x, centred: centred!, epsilon: splatOf(shifted.inputs[side])! };
}

/** Scale 1 leaves the normalised rows themselves, which the gradient reads. */
function normalise({ x, epsilon }: Normalisation, builder: GraphBuilder): readonly Value[] {
  const scale = builder.splat(1, 'float32', x.shape.slice(-1));
  const narrow = { shape: x.shape.with(-1, 1), dtype: x.dtype };
  const attributes = { axis: x.shape.length - 1, epsilon };
  return builder.addMany('LayerNormalization', [x, scale], [x, narrow, narrow], attributes);
}

/**
 * Makes a gain, then a bias, of one number for each column part of the normalisation before it, where nothing else
 * reads that: no gradient, as in a teacher.
 */
export function absorbGains(graph: Graph): Graph {
  return rewriteGraph(rewriteGraph(graph, gain), bias);
}

const gain: RewriteRule = (node, builder, uses) => {
  const { norm, column } = columnwise('Mul', node, builder, uses) ?? {};
  if (norm === undefined || splatOf(norm.inputs[1]) !== 1) return undefined;
  return normaliseAs(norm, [norm.inputs[0]!, column!], builder);
};

const bias: RewriteRule = (node, builder, uses) => {
  const { norm, column } = columnwise('Add', node, builder, uses) ?? {};
  if (norm === undefined || norm.inputs.length > 2) return undefined;
  return normaliseAs(norm, [...norm.inputs, column!], builder);
};

/** A normalisation that only `operator` reads, together with one number for each column. */
function columnwise(
  operator: string,
  node: GraphNode,
  builder: GraphBuilder,
  uses: (value: Value) => number,
): { readonly norm: GraphNode; readonly column: Value } | undefined {
  if (node.operator !== operator) return undefined;
  for (const [input, column] of [node.inputs, node.inputs.toReversed()] as [Value, Value][]) {
    const norm = soleUseOf('LayerNormalization', input, builder, uses);
    if (norm === undefined || norm.outputs[0] !== input) continue;
    if (norm.outputs.some((output, index) => index > 0 && uses(output) > 0)) continue;
    if (column.shape.length === 1 && column.shape[0] === input.shape.at(-1))
      return { norm, column };
  }
  return undefined;
}

function normaliseAs(
  { attributes, outputs }: GraphNode,
  inputs: readonly Value[],
  builder: GraphBuilder,
): readonly Value[] {
  return builder.addMany('LayerNormalization', inputs, outputs, attributes).slice(0, 1);
}

function ofOperator(
  operator: string,
  value: Value | undefined,
  builder: GraphBuilder,
): GraphNode | undefined {
  const node = builder.producer(value);
  return node?.operator === operator ? node : undefined;
}

/** What a value is the mean of, over the last axis alone and keeping it. */
function lastAxisMean(value: Value | undefined, builder: GraphBuilder): Value | undefined {
  const node = ofOperator('ReduceMean', value, builder);
  const axes = node?.attributes.axes as readonly number[] | undefined;
  const input = node?.inputs[0];
  if (input === undefined || node?.attributes.keepdims !== 1) return undefined;
  return axes?.length === 1 && axes[0] === input.shape.length - 1 ? input : undefined;
}
