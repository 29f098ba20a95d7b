import { type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sameShape, sizeOf } from '../tensor-spec.ts';
import { rewriteGraph } from './rewrite-graph.ts';

const UNARY: Readonly<Record<string, (x: number) => number>> = {
  Abs: Math.abs,
  Exp: Math.exp,
  Log: Math.log,
  Neg: (x) => -x,
  Reciprocal: (x) => 1 / x,
  Sqrt: Math.sqrt,
};

const BINARY: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Max: Math.max,
  Min: Math.min,
  Pow: (a, b) => a ** b,
};

/** Numbers that leave the other operand as it is: `x + 0`, `x − 0`, `x · 1`, `x / 1`. */
const NEUTRAL: Readonly<
  Record<string, { readonly number: number; readonly sides: readonly number[] }>
> = {
  Add: { number: 0, sides: [0, 1] },
  Sub: { number: 0, sides: [1] },
  Mul: { number: 1, sides: [0, 1] },
  Div: { number: 1, sides: [1] },
};

/**
 * Computes what is known before the step runs. tfjs's gradients write whole tensors of zeros and ones
 * and multiply by them; here such a tensor is one number, and mostly none is left.
 */
export function foldConstants(graph: Graph): Graph {
  return rewriteGraph(graph, (node, builder) => {
    const folded =
      foldElementwise(node, builder) ?? foldNeutral(node, builder) ?? foldLayout(node, builder);
    return folded ?? withSmallOperands(node, builder);
  });
}

/** An operation on numbers only. */
function foldElementwise(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const [output] = node.outputs as [Value];
  if (output.dtype !== 'float32') return undefined;
  const [a, b] = node.inputs.map(splatOf);
  const unary = UNARY[node.operator];
  const binary = BINARY[node.operator];
  let result: number | undefined;
  if (unary !== undefined && a !== undefined) result = unary(a);
  else if (binary !== undefined && a !== undefined && b !== undefined) result = binary(a, b);
  if (result === undefined) return undefined;
  return [builder.splat(Math.fround(result), output.dtype, output.shape)];
}

function foldNeutral(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const neutral = NEUTRAL[node.operator];
  const side = neutral?.sides.find((each) => splatOf(node.inputs[each]) === neutral.number);
  if (side === undefined) return undefined;
  return [builder.expand(node.inputs[1 - side]!, node.outputs[0]!.shape)];
}

/** Operations that move or convert elements, on numbers; sums of them. */
function foldLayout(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const { operator, inputs, outputs } = node;
  const [input] = inputs as [Value];
  const [output] = outputs as [Value];
  const number = splatOf(input);
  switch (operator) {
    case 'Reshape':
      if (input.constant === undefined) return undefined;
      return [{ shape: output.shape, dtype: output.dtype, constant: input.constant }];
    case 'Expand':
    case 'Transpose':
    case 'Tile':
    case 'Slice':
    case 'Split':
    case 'ReduceMean':
    case 'ReduceMax':
    case 'ReduceMin':
      if (number === undefined) return undefined;
      return outputs.map(({ shape, dtype }) => builder.splat(number, dtype, shape));
    case 'ReduceSum': {
      if (number === undefined) return undefined;
      const count = sizeOf(input.shape) / sizeOf(output.shape);
      return [builder.splat(Math.fround(number * count), output.dtype, output.shape)];
    }
    case 'Cast':
      if (number === undefined || output.dtype === 'bool') return undefined;
      return [
        builder.splat(
          output.dtype === 'float32' ? number : Math.trunc(number),
          output.dtype,
          output.shape,
        ),
      ];
    default:
      return undefined;
  }
}

/** Operators whose operands broadcast. */
const BROADCASTING: ReadonlySet<string> = new Set([
  ...Object.keys(BINARY),
  'And',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'Mod',
  'Or',
  'Where',
  'Xor',
]);

/** Operands that were blown up to a common shape go in small; the operator broadcasts by itself. */
function withSmallOperands(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  if (!BROADCASTING.has(node.operator)) return undefined;
  const [output] = node.outputs as [Value];
  const small = node.inputs.map((input) => {
    const number = splatOf(input);
    if (number !== undefined) return builder.splat(number, input.dtype);
    const producer = builder.producer(input);
    return producer?.operator === 'Expand' ? producer.inputs[0]! : input;
  });
  if (small.every((value, index) => sameShape(value.shape, node.inputs[index]!.shape))) {
    return undefined;
  }
  // Some operand has to have the result's shape still: not all may shrink.
  const isWhole = small.some((value) => sameShape(value.shape, output.shape));
  if (!isWhole) return undefined;
  return [builder.add(node.operator, small, output, node.attributes)];
}
