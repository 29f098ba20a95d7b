import type { Graph, GraphNode, Value } from '../graph.ts';

/** Drops nodes whose results reach no output. */
export function removeDeadCode(graph: Graph): Graph {
  const needed = new Set<Value>(graph.outputs.values());
  const kept: GraphNode[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    for (const input of node.inputs) needed.add(input);
    kept.push(node);
  }
  return { ...graph, nodes: kept.reverse() };
}
