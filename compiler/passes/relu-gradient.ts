import { type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sameShape } from '../tensor-spec.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/**
 * Recognises how tfjs takes a gradient back through rectified units, `dy · step(x)`, and makes it one
 * choice between dy and 0: three passes over x less. Where x is not a number, dy comes through.
 */
export function simplifyReluGradients(graph: Graph): Graph {
  return rewriteGraph(graph, (node, builder) => {
    if (node.operator !== 'Mul') return undefined;
    for (const [dy, step] of [node.inputs, node.inputs.toReversed()] as [Value, Value][]) {
      const x = matchStep(step, builder);
      if (x === undefined || !sameShape(dy.shape, x.shape)) continue;
      const zero = builder.splat(0, 'float32');
      const isOff = builder.binary('LessOrEqual', x, zero, 'bool');
      return [builder.add('Where', [isOff, zero, dy], dy)];
    }
    return undefined;
  });
}

/** The x of `x is not a number ? x : x > 0 ? 1 : 0`, which is what the kernel Step becomes. */
function matchStep(value: Value, builder: GraphBuilder): Value | undefined {
  const [noNumber, x, rest] = inputsOf('Where', value, builder);
  if (x === undefined || inputsOf('IsNaN', noNumber, builder)[0] !== x) return undefined;
  const [isOn, one, zero] = inputsOf('Where', rest, builder);
  if (splatOf(one) !== 1 || splatOf(zero) !== 0) return undefined;
  const [compared, bound] = inputsOf('Greater', isOn, builder);
  return compared === x && splatOf(bound) === 0 ? x : undefined;
}

function inputsOf(
  operator: string,
  value: Value | undefined,
  builder: GraphBuilder,
): readonly (Value | undefined)[] {
  const node: GraphNode | undefined = builder.producer(value);
  return node?.operator === operator ? node.inputs : [];
}
