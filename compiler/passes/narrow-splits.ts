import type { Graph } from '../graph.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/** WebGPU promises a shader eight buffers, and one of them is what is cut up. */
const PARTS_MAX = 7;

/** Cuts into many parts become a slice for each: the engine on WebGPU binds all parts of one at once. */
export function narrowSplits(graph: Graph): Graph {
  return rewriteGraph(graph, ({ operator, inputs, outputs, attributes }, builder) => {
    if (operator !== 'Split' || outputs.length <= PARTS_MAX) return undefined;
    const axis = attributes.axis as number;
    let start = 0;
    return outputs.map((part) => {
      const end = start + part.shape[axis]!;
      const range = { starts: [start], ends: [end], axes: [axis], steps: [1] };
      start = end;
      return builder.add('Slice', inputs, part, range);
    });
  });
}
