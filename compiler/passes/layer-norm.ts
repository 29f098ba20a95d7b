import { type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { rewriteGraph } from './rewrite-graph.ts';

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
