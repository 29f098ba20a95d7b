import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import { turnAround, type Windows, windowAttributes } from '../windows.ts';

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

/** `x` [batch, …in, inputs] and `filter` [window…, inputs, outputs] to [batch, …out, outputs]. */
export function blockedConvolution(
  graph: GraphBuilder,
  x: Value,
  filter: Value,
  windows: Windows,
  block: number,
): Value {
  const blocked = blockFilter(graph, filter, block, [3, 1, 0, 2, 4]);
  return convolve(graph, x, blocked, windows);
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
  return convolve(graph, dy, blocked, backward);
}

function convolve(graph: GraphBuilder, x: Value, filter: Value, windows: Windows): Value {
  const { dtype } = x;
  const [batch, inputs] = [x.shape[0]!, x.shape.at(-1)!];
  const outputs = filter.shape[0]!;
  const laidOut = graph.add(
    'ToBlocks',
    [x],
    { shape: [batch, inputs, ...windows.inSizes], dtype },
    { channels_last: 1 },
  );
  const shape = [batch, outputs, ...windows.outSizes];
  const attributes = { ...windowAttributes(windows), group: 1 };
  const result = graph.add('BlockedConv', [laidOut, filter], { shape, dtype }, attributes);
  const last = { shape: [batch, ...windows.outSizes, outputs], dtype };
  return graph.add('FromBlocks', [result], last, { channels: outputs, channels_last: 1 });
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
