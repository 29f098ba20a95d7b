import { createHash } from 'node:crypto';
import type { Constant, Graph, GraphNode, Value } from '../graph.ts';
import { rewriteGraph } from './rewrite-graph.ts';

const COMPARED_BYTES_MAX = 1 << 20;

/** Computes once what several nodes compute alike: same operator, inputs and attributes. */
export function shareCommonSubexpressions(graph: Graph): Graph {
  const identities = new Map<Value, string>();
  const identityOf = (value: Value): string => {
    const known = identities.get(value);
    if (known !== undefined) return known;
    const elements = value.constant && elementsOf(value.constant);
    const identity =
      elements === undefined ? `#${identities.size}` : `${value.dtype}[${value.shape}]=${elements}`;
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

/** Stands for a constant's elements; nothing for long ones, which are seldom there twice. */
function elementsOf(constant: Constant): string | undefined {
  // Text would not tell -0 from 0.
  if ('splat' in constant) return Object.is(constant.splat, -0) ? '-0' : String(constant.splat);
  const { buffer, byteOffset, byteLength } = constant.data;
  if (byteLength > COMPARED_BYTES_MAX) return undefined;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return createHash('sha256').update(bytes).digest('base64');
}
