import type { Graph, GraphNode, Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/** From this many elements on, the engine's product adds columns up faster than its sum does. */
const COLUMN_SUM_ELEMENTS_MIN = 1 << 18;

/**
 * Uses the engine's fastest ways to add up: all squares in one pass, columns as a product with ones. Means of
 * columns are slow on two threads above all: 0.16 instead of 0.02 ms for 512×512. Squares of columns are written out: the engine's own way is slower than both passes together.
 */
export function improveReductions(graph: Graph): Graph {
  return rewriteGraph(graph, (node, builder) => {
    if (node.operator === 'ReduceMean') return columnSum(node, builder);
    if (node.operator !== 'ReduceSum') return undefined;
    return sumOfSquares(node, builder) ?? columnSum(node, builder);
  });
}

function sumOfSquares(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const square = builder.producer(node.inputs[0]);
  const [x, same] = square?.inputs ?? [];
  if (square?.operator !== 'Mul' || x === undefined || x !== same) return undefined;
  if (isColumnSum(node)) return undefined;
  return [builder.add('ReduceSumSquare', [x], node.outputs[0]!, node.attributes)];
}

function columnSum(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const [x] = node.inputs as [Value];
  const [output] = node.outputs as [Value];
  if (x.dtype !== 'float32' || !isColumnSum(node)) return undefined;
  if (sizeOf(x.shape) < COLUMN_SUM_ELEMENTS_MIN) return undefined;
  const rows = x.shape[0]!;
  const factor = Math.fround(node.operator === 'ReduceMean' ? 1 / rows : 1);
  const factors = builder.splat(factor, 'float32', [1, rows]);
  return [builder.reshape(builder.gemm(factors, x), output.shape)];
}

function isColumnSum({ inputs, attributes }: GraphNode): boolean {
  const axes = attributes.axes as readonly number[];
  return inputs[0]!.shape.length === 2 && axes.length === 1 && axes[0] === 0;
}
