import type { Graph, GraphNode, Value } from '../graph.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/** Computes once what several nodes compute alike: same operator, inputs and attributes. */
export function shareCommonSubexpressions(graph: Graph): Graph {
  const identities = new Map<Value, string>();
  const identityOf = (value: Value): string => {
    const known = identities.get(value);
    if (known !== undefined) return known;
    const { constant, dtype, shape } = value;
    // Small constants are the same when their elements are; `Object.is` would tell -0 from 0.
    const isNumber =
      constant !== undefined && 'splat' in constant && !Object.is(constant.splat, -0);
    const identity = isNumber ? `${dtype}[${shape}]=${constant.splat}` : `#${identities.size}`;
    identities.set(value, identity);
    return identity;
  };
  const seen = new Map<string, GraphNode>();
  return rewriteGraph(graph, (node) => {
    const { operator, inputs, outputs, attributes } = node;
    const sortedAttributes = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1));
    const kinds = outputs.map((output) => output.dtype);
    const key = JSON.stringify([operator, inputs.map(identityOf), sortedAttributes, kinds]);
    const known = seen.get(key);
    if (known !== undefined) return known.outputs;
    seen.set(key, node);
    return undefined;
  });
}
