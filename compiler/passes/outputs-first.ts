import { countUses, type Graph, type GraphNode } from '../graph.ts';
import { outputPrefix } from '../trace-step.ts';

/**
 * Puts the nodes that only give outputs of the step last, as the engine works its way back from the last node of a
 * graph first: a loss is then computed as soon as what it depends on is there, and that needn't be kept through
 * the whole backward pass. With a teacher over 10,000 pieces this is 190 of 1,160 MB.
 */
export function computeOutputsFirst(graph: Graph): Graph {
  const reads = countUses({ ...graph, outputs: new Map() });
  const shown = new Set(
    [...graph.outputs].flatMap(([name, value]) => (name.startsWith(outputPrefix) ? [value] : [])),
  );
  const isLast = ({ outputs }: GraphNode) =>
    outputs.every((value) => shown.has(value) && !reads.has(value));
  return {
    ...graph,
    nodes: [...graph.nodes.filter((node) => !isLast(node)), ...graph.nodes.filter(isLast)],
  };
}
