import { type Graph, type GraphNode, splatOf, type Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sameShape, sizeOf } from '../tensor-spec.ts';
import { blockedColumns, fromBlocks, toBlocks } from './blocked-convolutions.ts';
import { removeDeadCode } from './dead-code.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/** Operators that look at one element at a time, so that its place doesn't matter. */
const ELEMENTWISE: ReadonlySet<string> = new Set([
  ...['Abs', 'Elu', 'Erf', 'Exp', 'HardSigmoid', 'LeakyRelu', 'Neg', 'Relu', 'Sigmoid', 'Sqrt'],
  ...['Tanh', 'Add', 'Sub', 'Mul', 'Div', 'Max', 'Min'],
]);

/**
 * Computes what lies between two blocked convolutions on the blocks that they work on, instead of laying every
 * image out anew: elementwise operations, sums over all places of a channel, and one number for each channel as a
 * convolution with a window of one element, which takes a third of the time of a broadcast product. Batch normalisation
 * is made of these.
 */
export function keepBlocks(graph: Graph): Graph {
  const blocked = new Map<Value, Value>();
  const blocks = rewriteGraph(graph, (node, builder) => {
    const [output] = node.outputs as [Value];
    const [input] = node.inputs as [Value];
    const known = blocked.get(input);
    switch (node.operator) {
      case 'FromBlocks':
        blocked.set(output, input);
        return undefined;
      case 'ToBlocks':
        blocked.set(input, known ?? output);
        return known && [known];
      case 'Reshape':
        if (known !== undefined && isImage(output, known)) blocked.set(output, known);
        return undefined;
      case 'ReduceSum':
      case 'ReduceMean':
        return known && reducePlaces(node, known, builder);
    }
    const result = onBlocks(node, blocked, builder);
    if (result === undefined) return undefined;
    const image = fromBlocks(builder, result);
    const plain = builder.reshape(image, output.shape);
    blocked.set(image, result);
    blocked.set(plain, result);
    return [plain];
  });
  return removeDeadCode(blocks);
}

/** Whether `value` is `blocked` with channels last, as images or as a matrix of one row for each place. */
function isImage({ shape }: Value, blocked: Value): boolean {
  const [batch, channels, ...sizes] = blocked.shape as [number, number, ...number[]];
  const isMatrix = shape.length === 2 && shape[1] === channels;
  return isMatrix || sameShape(shape, [batch, ...sizes, channels]);
}

/** An elementwise operation on blocks, where an operand has them. */
function onBlocks(
  node: GraphNode,
  blocked: Map<Value, Value>,
  builder: GraphBuilder,
): Value | undefined {
  const { operator, inputs, outputs, attributes } = node;
  const [output] = outputs as [Value];
  if (!ELEMENTWISE.has(operator) || output.dtype !== 'float32') return undefined;
  const image = inputs
    .map((input) => (sameShape(input.shape, output.shape) ? blocked.get(input) : undefined))
    .find((each) => each !== undefined);
  if (image === undefined) return undefined;
  const channels = image.shape[1]!;
  const isColumn = ({ shape }: Value) =>
    shape.at(-1) === channels && sizeOf(shape) === channels && !sameShape(shape, output.shape);
  const column = inputs.findIndex(isColumn);
  if (column < 0 || splatOf(inputs[column]) !== undefined) {
    const operands = inputs.map((input) => operandOnBlocks(input, image, blocked, builder));
    if (operands.includes(undefined)) return undefined;
    return builder.add(operator, operands as readonly Value[], image, attributes);
  }
  const numbers = builder.reshape(inputs[column]!, [channels]);
  if (operator === 'Mul') return blockedColumns(builder, image, { factors: numbers });
  if (operator === 'Add') return blockedColumns(builder, image, { addend: numbers });
  if (operator !== 'Sub' || column === 0) return undefined;
  return blockedColumns(builder, image, { addend: builder.unary('Neg', numbers) });
}

/** One number as it is, an image on blocks; undefined for what broadcasts in another way. */
function operandOnBlocks(
  value: Value,
  image: Value,
  blocked: Map<Value, Value>,
  builder: GraphBuilder,
): Value | undefined {
  const number = splatOf(value);
  if (number !== undefined) return builder.splat(number, value.dtype);
  if (sizeOf(value.shape) === 1) return builder.reshape(value, []);
  if (sizeOf(value.shape) !== sizeOf(image.shape)) return undefined;
  const known = blocked.get(value);
  if (known !== undefined) return known;
  const [batch, channels, ...sizes] = image.shape as [number, number, ...number[]];
  const result = toBlocks(builder, builder.reshape(value, [batch, ...sizes, channels]));
  blocked.set(value, result);
  return result;
}

/** A sum or mean of each channel: the engine has the mean of each image. */
function reducePlaces(
  { operator, inputs, outputs, attributes }: GraphNode,
  image: Value,
  builder: GraphBuilder,
): readonly Value[] | undefined {
  const [output] = outputs as [Value];
  const axes = attributes.axes as readonly number[];
  if (inputs[0]!.shape.length !== 2 || axes.length !== 1 || axes[0] !== 0) return undefined;
  const [batch, channels, ...sizes] = image.shape as [number, number, ...number[]];
  const { dtype } = image;
  const shape = [batch, channels, 1, 1];
  const means = builder.add('BlockedGlobalAveragePool', [image], { shape, dtype });
  // Blocks of one element each lie as the channels do.
  const rows = builder.reshape(means, [batch, channels]);
  const reduced = builder.reduce(operator, rows, [0], false);
  const places = builder.splat(sizeOf(sizes), dtype);
  const result = operator === 'ReduceMean' ? reduced : builder.binary('Mul', reduced, places);
  return [builder.reshape(result, output.shape)];
}
