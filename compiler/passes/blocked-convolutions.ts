import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import { channelsFirst, turnAround, type Windows, windowAttributes } from '../windows.ts';

/**
 * Convolutions over blocked channels: images [batch, channels / block, …, block], filters
 * [outputs / block, inputs / block, window…, block, block] with inputs before outputs. The engine
 * has them for graphs whose filters are constant; its rate is 1.1 to 1.4 times that of the others, the
 * laying out included. Values keep the shapes that ONNX would have, only their elements move.
 */
export function suitsBlocks(filter: Value, windows: Windows, block: number): boolean {
  const channels = filter.shape.slice(-2);
  return block > 1 && windows.sizes.length === 2 && channels.every((each) => each % block === 0);
}

/** Images of fewer channels than a block (colours, say) are read as they are, with channels first. */
export function suitsFewChannels(filter: Value, windows: Windows, block: number): boolean {
  const [inputs, outputs] = filter.shape.slice(-2) as [number, number];
  return windows.sizes.length === 2 && inputs < block && outputs % block === 0;
}

/** `x` [batch, …in, inputs] and `filter` [window…, inputs, outputs] to [batch, …out, outputs]. */
export function blockedConvolution(
  graph: GraphBuilder,
  x: Value,
  filter: Value,
  windows: Windows,
  block: number,
): Value {
  const blocked = blockFilter(graph, filter, block, [3, 1, 0, 2, 4]);
  return fromBlocks(graph, convolve(graph, toBlocks(graph, x), blocked, windows));
}

/** The same where `suitsFewChannels`. */
export function fewChannelConvolution(
  graph: GraphBuilder,
  x: Value,
  filter: Value,
  windows: Windows,
  block: number,
): Value {
  const sizes = filter.shape.slice(0, -2);
  const [inputs, outputs] = filter.shape.slice(-2) as [number, number];
  const parts = graph.reshape(filter, [sizeOf(sizes), inputs, outputs / block, block]);
  const blocked = graph.reshape(graph.transpose(parts, [2, 1, 0, 3]), [outputs, inputs, ...sizes]);
  return fromBlocks(graph, convolve(graph, channelsFirst(graph, x), blocked, windows));
}

/** The gradient of x, by `backward` windows: inputs and outputs change places. */
export function blockedInputGradient(
  graph: GraphBuilder,
  dy: Value,
  filter: Value,
  backward: Windows,
  block: number,
): Value {
  const turned = turnAround(graph, filter, backward);
  const blocked = blockFilter(graph, turned, block, [1, 3, 0, 4, 2]);
  return fromBlocks(graph, convolve(graph, toBlocks(graph, dy), blocked, backward));
}

/** Images [batch, …sizes, channels] to blocks, [batch, channels, …sizes]. */
export function toBlocks(graph: GraphBuilder, x: Value): Value {
  const [batch, ...rest] = x.shape as [number, ...number[]];
  const shape = [batch, rest.at(-1)!, ...rest.slice(0, -1)];
  return graph.add('ToBlocks', [x], { shape, dtype: x.dtype }, { channels_last: 1 });
}

/** The way back of `toBlocks`. */
export function fromBlocks(graph: GraphBuilder, x: Value): Value {
  const [batch, channels, ...sizes] = x.shape as [number, number, ...number[]];
  const shape = [batch, ...sizes, channels];
  return graph.add('FromBlocks', [x], { shape, dtype: x.dtype }, { channels, channels_last: 1 });
}

/** `x · factors + addend` on blocks, each a number for each channel: a convolution that sees one element of one channel. */
export function blockedColumns(
  graph: GraphBuilder,
  x: Value,
  { factors, addend }: { readonly factors?: Value; readonly addend?: Value },
): Value {
  const channels = x.shape[1]!;
  const shape = [channels, 1, 1, 1];
  const filter = factors ? graph.reshape(factors, shape) : graph.splat(1, 'float32', shape);
  const attributes = {
    ...{ kernel_shape: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
    group: channels,
  };
  return graph.add('BlockedConv', [x, filter, ...(addend ? [addend] : [])], x, attributes);
}

function convolve(graph: GraphBuilder, x: Value, filter: Value, windows: Windows): Value {
  const shape = [x.shape[0]!, filter.shape[0]!, ...windows.outSizes];
  const attributes = { ...windowAttributes(windows), group: 1 };
  return graph.add('BlockedConv', [x, filter], { shape, dtype: x.dtype }, attributes);
}

/** `perm` orders [window, inputs / block, block, outputs / block, block]. */
function blockFilter(
  graph: GraphBuilder,
  filter: Value,
  block: number,
  perm: readonly number[],
): Value {
  const sizes = filter.shape.slice(0, -2);
  const [inputs, outputs] = filter.shape.slice(-2) as [number, number];
  const parts = [sizeOf(sizes), inputs / block, block, outputs / block, block];
  const blocked = graph.transpose(graph.reshape(filter, parts), perm);
  const [first, second] = perm[0] === 3 ? [outputs, inputs] : [inputs, outputs];
  return graph.reshape(blocked, [first, second, ...sizes]);
}
