import { countUses, type Graph, type GraphNode, type Value } from '../graph.ts';
import { GraphBuilder } from '../graph-builder.ts';

/**
 * Looks at one node, whose inputs have been rewritten already: answers values to use instead of its
 * outputs, or nothing to keep it. New nodes are added to `graph`, whose `producer` tells what
 * computes an input; `uses` counts readers.
 */
export type RewriteRule = (
  node: GraphNode,
  graph: GraphBuilder,
  uses: (value: Value) => number,
) => readonly Value[] | undefined;

/** Goes through a graph once, in order, and puts a rule's results in the place of what it matches. */
export function rewriteGraph(graph: Graph, rule: RewriteRule): Graph {
  const builder = new GraphBuilder();
  const replacements = new Map<Value, Value>();
  const uses = countUses(graph);
  const resolve = (value: Value) => replacements.get(value) ?? value;
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(resolve);
    const changed = inputs.some((input, index) => input !== node.inputs[index]);
    const current = changed ? { ...node, inputs } : node;
    const results = rule(current, builder, (value) => uses.get(value) ?? 0);
    if (results === undefined) {
      builder.append(current);
      continue;
    }
    for (const [index, output] of node.outputs.entries()) {
      const result = results[index]!;
      replacements.set(output, result);
      // The readers of what is replaced read the replacement from now on.
      uses.set(result, (uses.get(result) ?? 0) + (uses.get(output) ?? 0));
    }
  }
  const outputs = new Map([...graph.outputs].map(([name, value]) => [name, resolve(value)]));
  return { inputs: graph.inputs, nodes: builder.nodes, outputs };
}

/** Whether a value is what `operator` computes and only one node reads it: then it can be absorbed. */
export function soleUseOf(
  operator: string,
  value: Value,
  graph: GraphBuilder,
  uses: (value: Value) => number,
): GraphNode | undefined {
  const node = graph.producer(value);
  return node?.operator === operator && uses(value) === 1 ? node : undefined;
}
