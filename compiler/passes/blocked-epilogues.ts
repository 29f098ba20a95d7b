import { absentValue, type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sameShape } from '../tensor-spec.ts';
import { removeDeadCode } from './dead-code.ts';
import { type RewriteRule, rewriteGraph, soleUseOf } from './rewrite-graph.ts';

/**
 * Makes what follows a blocked convolution part of it, where nothing else reads its result: a number for each
 * channel, the addition of another image, then rectifying. Each saves a pass over the images.
 */
export function absorbBlockedEpilogues(graph: Graph): Graph {
  // What was absorbed must not count as a reader any more.
  const absorb = (from: Graph, rule: RewriteRule) => removeDeadCode(rewriteGraph(from, rule));
  return [image, columns, rectifier].reduce(absorb, graph);
}

type Uses = (value: Value) => number;

/** `conv(x) + z`, or `z − columns(x)`. */
const image: RewriteRule = (node, builder, uses) => {
  const [left, right] = node.inputs as [Value, Value];
  if (node.operator === 'Add') {
    for (const [value, addend] of [
      [left, right],
      [right, left],
    ] as const) {
      const convolution = openConvolution(value, builder, uses);
      if (convolution === undefined || convolution.inputs[3] !== undefined) continue;
      if (!sameShape(value.shape, addend.shape)) continue;
      return [extended(convolution, { addend }, builder)];
    }
  }
  if (node.operator !== 'Sub' || !sameShape(left.shape, right.shape)) return undefined;
  const convolution = openConvolution(right, builder, uses);
  if (convolution === undefined || !isColumns(convolution) || convolution.inputs.length > 2) {
    return undefined;
  }
  const [x, filter] = convolution.inputs as [Value, Value];
  const turned = { ...convolution, inputs: [x, builder.unary('Neg', filter)] };
  return [extended(turned, { addend: left }, builder)];
};

/** `columns(conv(x))` that only adds. */
const columns: RewriteRule = (node, builder, uses) => {
  const [value, factors, bias, addend] = node.inputs;
  if (!isColumns(node) || splatOf(factors) !== 1 || bias === undefined) return undefined;
  if (bias === absentValue) return undefined;
  const convolution = openConvolution(value!, builder, uses);
  const hasBias = (convolution?.inputs[2] ?? absentValue) !== absentValue;
  const hasBoth = addend !== undefined && convolution?.inputs[3] !== undefined;
  if (convolution === undefined || hasBias || hasBoth) return undefined;
  return [extended(convolution, { bias, ...(addend && { addend }) }, builder)];
};

/** `max(conv(x), 0)`. */
const rectifier: RewriteRule = (node, builder, uses) => {
  if (node.operator !== 'Max') return undefined;
  const side = node.inputs.findIndex((input) => splatOf(input) === 0);
  const convolution = openConvolution(node.inputs[1 - side]!, builder, uses);
  if (side < 0 || convolution === undefined) return undefined;
  const attributes = { ...convolution.attributes, activation: 'Relu' };
  return [builder.add('BlockedConv', convolution.inputs, convolution.outputs[0]!, attributes)];
};

/** A convolution that nothing else reads, and that has not been rectified. */
function openConvolution(value: Value, builder: GraphBuilder, uses: Uses): GraphNode | undefined {
  const convolution = soleUseOf('BlockedConv', value, builder, uses);
  return convolution?.attributes.activation === undefined ? convolution : undefined;
}

function isColumns({ operator, inputs, attributes }: GraphNode): boolean {
  return operator === 'BlockedConv' && attributes.group === inputs[0]!.shape[1];
}

function extended(
  { inputs, outputs, attributes }: GraphNode,
  more: { readonly bias?: Value; readonly addend?: Value },
  builder: GraphBuilder,
): Value {
  const [x, filter, bias = absentValue, addend] = inputs as [Value, Value, Value?, Value?];
  const sum = more.addend ?? addend;
  const operands = [x, filter, more.bias ?? bias, ...(sum === undefined ? [] : [sum])];
  return builder.add('BlockedConv', operands, outputs[0]!, attributes);
}
