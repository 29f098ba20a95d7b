import { backend_util, type Dilation2DAttrs } from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { indicesOf, sizeOf } from '../tensor-spec.ts';
import { addUpThrough, firstHits, viewsThrough, type Windows, windowsOf } from '../windows.ts';
import { type KernelTable, kernel } from './kernel.ts';

function dilationWindows(x: Value, filter: Value, attributes: Dilation2DAttrs): Windows {
  const { strides, pad, dilations } = attributes;
  type Shape3D = [number, number, number];
  const info = backend_util.computeDilation2DInfo(
    [...x.shape] as [number, ...Shape3D],
    [...filter.shape] as Shape3D,
    strides,
    pad,
    'NHWC',
    dilations,
  );
  return windowsOf(info);
}

/** What each place of the window sees of `x`, plus the filter [rows, columns, channels] at that place. */
function raisedViews(graph: GraphBuilder, x: Value, filter: Value, windows: Windows) {
  const places = sizeOf(windows.sizes);
  const channels = filter.shape[2]!;
  const byPlace = graph.reshape(filter, [places, channels]);
  const raise = graph.addMany(
    'Split',
    [byPlace],
    Array.from({ length: places }, () => ({ shape: [1, channels], dtype: filter.dtype })),
    { axis: 0, split: new Array(places).fill(1) },
  );
  return viewsThrough(graph, x, windows, 1, Number.NEGATIVE_INFINITY).map((view, place) =>
    graph.binary('Add', view, raise[place]!),
  );
}

/** What of `dy` goes to each place of the window: to the first that sees the largest sum. */
function gradientsByPlace(
  graph: GraphBuilder,
  { x, filter, dy }: Readonly<Record<'x' | 'filter' | 'dy', Value>>,
  windows: Windows,
): readonly Value[] {
  const views = raisedViews(graph, x, filter, windows);
  return firstHits(graph, views).map((hit) => graph.binary('Mul', hit, dy));
}

/** The same windows with no element left out between those that they read, and zeros for these. */
function undilated(
  graph: GraphBuilder,
  parts: readonly Value[],
  windows: Windows,
): readonly [readonly Value[], Windows] {
  const { sizes, dilations } = windows;
  const wide = sizes.map((size, axis) => (size - 1) * dilations[axis]! + 1);
  const { shape, dtype } = parts[0]!;
  const filled = new Array<Value>(sizeOf(wide)).fill(graph.splat(0, dtype, shape));
  for (const [index, part] of parts.entries()) {
    const place = indicesOf(index, sizes).map((offset, axis) => offset * dilations[axis]!);
    filled[place.reduce((flat, offset, axis) => flat * wide[axis]! + offset, 0)] = part;
  }
  return [filled, { ...windows, sizes: wide, dilations: dilations.map(() => 1) }];
}

/** Morphological dilation: the largest of `x` plus the filter, over a window, channel by channel. */
export const dilationKernels: KernelTable = {
  Dilation2D: kernel<'x' | 'filter', Dilation2DAttrs>((graph, { x, filter }, attributes) =>
    raisedViews(graph, x, filter, dilationWindows(x, filter, attributes)).reduce((most, view) =>
      graph.binary('Max', most, view),
    ),
  ),

  Dilation2DBackpropInput: kernel<'x' | 'filter' | 'dy', Dilation2DAttrs>(
    (graph, inputs, attributes) => {
      const windows = dilationWindows(inputs.x, inputs.filter, attributes);
      const parts = gradientsByPlace(graph, inputs, windows);
      return addUpThrough(graph, ...undilated(graph, parts, windows));
    },
  ),

  Dilation2DBackpropFilter: kernel<'x' | 'filter' | 'dy', Dilation2DAttrs>(
    (graph, inputs, attributes) => {
      const { filter } = inputs;
      const windows = dilationWindows(inputs.x, filter, attributes);
      const sums = gradientsByPlace(graph, inputs, windows).map((part) =>
        graph.reshape(graph.reduce('ReduceSum', part, [0, 1, 2], false), [1, filter.shape[2]!]),
      );
      return graph.reshape(graph.concat(sums, 0), filter.shape);
    },
  ),
};
