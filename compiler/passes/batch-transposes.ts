import type { Graph, Value } from '../graph.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/** Makes products of batches of matrices read transposed operands as they lie, which saves writing those. */
export function absorbBatchTransposes(graph: Graph): Graph {
  return rewriteGraph(graph, (node, builder) => {
    if (node.operator !== 'MatMul' || node.outputs[0]!.dtype !== 'float32') return undefined;
    const sources = node.inputs.map((input): Value => {
      const transpose = builder.producer(input);
      if (transpose?.operator !== 'Transpose') return input;
      return swapsLastTwo(transpose.attributes.perm as readonly number[])
        ? transpose.inputs[0]!
        : input;
    });
    const [transA, transB] = sources.map((source, index) => Number(source !== node.inputs[index]));
    if (!transA && !transB) return undefined;
    return [
      builder.add('FusedMatMul', sources, node.outputs[0]!, { transA: transA!, transB: transB! }),
    ];
  });
}

function swapsLastTwo(perm: readonly number[]): boolean {
  const last = perm.length - 1;
  if (last < 2 || perm[last] !== last - 1 || perm[last - 1] !== last) return false;
  return perm.slice(0, -2).every((axis, index) => axis === index);
}
