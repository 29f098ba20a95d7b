import { type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sameShape } from '../tensor-spec.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/** The largest float32: times any normal number that is positive, it is 1 or more. */
const STEEPEST = 3.4028234663852886e38;

/**
 * Recognises how tfjs takes a gradient back through rectified units, `dy · step(x)`, and makes the
 * step one operation, `clamp(c · x, 0, 1)` with the largest c: it and the product are half of what a
 * choice between dy and 0 takes, which the engine is slow at. A positive x below 3e-39 is taken for
 * less than a whole one; where x is not a number, so is what comes of it, or dy is taken as it is.
 * The rectified x has the same step, and is mostly kept for other gradients too, so that x needn't be.
 */
export function simplifyReluGradients(graph: Graph): Graph {
  const rectified = new Map<Value, Value>();
  return rewriteGraph(graph, (node, builder) => {
    if (node.operator === 'Max') {
      const side = node.inputs.findIndex((input) => splatOf(input) === 0);
      if (side >= 0) rectified.set(node.inputs[1 - side]!, node.outputs[0]!);
    }
    if (node.operator !== 'Mul') return undefined;
    for (const [dy, step] of [node.inputs, node.inputs.toReversed()] as [Value, Value][]) {
      const x = matchStep(step, builder);
      if (x === undefined || !sameShape(dy.shape, x.shape)) continue;
      const source = rectified.get(x) ?? x;
      const steep = builder.unary('HardSigmoid', source, { alpha: STEEPEST, beta: 0 });
      return [builder.binary('Mul', dy, steep)];
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
