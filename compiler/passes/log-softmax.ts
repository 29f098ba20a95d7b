import type { Graph, GraphNode, Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/**
 * Recognises what `tf.logSoftmax` does, `s − log(Σ exp(s))` with `s = x − max(x)`, and makes it one
 * operation: five passes over the logits less.
 */
export function fuseLogSoftmax(graph: Graph): Graph {
  return rewriteGraph(graph, (node, builder) => {
    const x = matchLogSoftmax(node, builder);
    if (x === undefined) return undefined;
    return [builder.unary('LogSoftmax', x, { axis: x.shape.length - 1 })];
  });
}

function matchLogSoftmax(node: GraphNode, builder: GraphBuilder): Value | undefined {
  const expect = (operator: string, value: Value | undefined) => {
    const producer = builder.producer(value);
    return producer?.operator === operator ? producer : undefined;
  };
  const overLastAxis = (reduction: GraphNode | undefined) => {
    const axes = reduction?.attributes.axes as readonly number[] | undefined;
    const last = (reduction?.inputs[0]?.shape.length ?? 0) - 1;
    return reduction?.attributes.keepdims === 1 && axes?.length === 1 && axes[0] === last;
  };
  if (node.operator !== 'Sub') return undefined;
  const [shifted, logSum] = node.inputs;
  const sum = expect('ReduceSum', expect('Log', logSum)?.inputs[0]);
  const exponential = expect('Exp', sum?.inputs[0]);
  const difference = expect('Sub', shifted);
  const maximum = expect('ReduceMax', difference?.inputs[1]);
  const [x] = difference?.inputs ?? [];
  if (exponential?.inputs[0] !== shifted || maximum?.inputs[0] !== x) return undefined;
  return overLastAxis(sum) && overLastAxis(maximum) ? x : undefined;
}
