import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import {
  addUpThrough,
  channelsFirst,
  channelsLast,
  firstHits,
  viewsThrough,
  type Windows,
  windowAttributes,
} from '../windows.ts';

/** The gradient of x: that of each window goes to its first largest element, and the engine says which that is. */
export function maxPoolGradientByIndex(
  graph: GraphBuilder,
  dy: Value,
  x: Value,
  windows: Windows,
): Value {
  const image = channelsFirst(graph, x);
  const gradient = channelsFirst(graph, dy);
  const { dilations, ...attributes } = windowAttributes(windows);
  const outputs = [
    { shape: gradient.shape, dtype: 'float32' },
    { shape: gradient.shape, dtype: 'int64' },
  ] as const;
  const [, places] = graph.addMany('MaxPool', [image], outputs, attributes) as [Value, Value];
  const flat = (value: Value) => graph.reshape(value, [sizeOf(value.shape)]);
  const zeros = graph.splat(0, 'float32', [sizeOf(image.shape)]);
  const sums = graph.add('ScatterElements', [zeros, flat(places), flat(gradient)], zeros, {
    axis: 0,
    reduction: 'add',
  });
  return channelsLast(graph, graph.reshape(sums, image.shape));
}

/**
 * The same where the engine has no indices (onnxruntime on WebGPU): each place of the window gets the gradient
 * where it sees the largest element and no place before it did.
 */
export function maxPoolGradientByPlace(
  graph: GraphBuilder,
  dy: Value,
  x: Value,
  windows: Windows,
): Value {
  const views = viewsThrough(graph, x, windows, 1, Number.NEGATIVE_INFINITY);
  const parts = firstHits(graph, views).map((hit) => graph.binary('Mul', hit, dy));
  return addUpThrough(graph, parts, windows);
}
