import {
  type AvgPool3DAttrs,
  type AvgPool3DGradAttrs,
  type AvgPoolAttrs,
  type AvgPoolGradAttrs,
  backend_util,
  type MaxPool3DAttrs,
  type MaxPool3DGradAttrs,
  type MaxPoolAttrs,
  type MaxPoolGradAttrs,
  type MaxPoolWithArgmaxAttrs,
} from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { indicesOf, sizeOf } from '../tensor-spec.ts';
import {
  addUpThrough,
  channelsFirst,
  channelsLast,
  placesOf,
  transposedAttributes,
  viewsThrough,
  type Windows,
  windowAttributes,
  windowsOf,
} from '../windows.ts';
import { type Kernel, type KernelTable, kernel } from './kernel.ts';

type PoolAttributes = MaxPoolAttrs | MaxPool3DAttrs | AvgPoolAttrs | AvgPool3DAttrs;

function poolWindows(shape: readonly number[], attributes: PoolAttributes): Windows {
  const { filterSize, strides, pad, dimRoundingMode } = attributes;
  if (shape.length === 4) {
    return windowsOf(
      backend_util.computePool2DInfo(
        [...shape] as [number, number, number, number],
        filterSize as number,
        strides as number,
        1,
        pad,
        dimRoundingMode,
      ),
    );
  }
  return windowsOf(
    backend_util.computePool3DInfo(
      [...shape] as [number, number, number, number, number],
      filterSize as number,
      strides as number,
      1,
      pad as number,
      dimRoundingMode,
    ),
  );
}

function pool(graph: GraphBuilder, operator: string, x: Value, windows: Windows): Value {
  const image = channelsFirst(graph, graph.cast(x, 'float32'));
  const shape = [...image.shape.slice(0, 2), ...windows.outSizes];
  const { dilations, ...attributes } = windowAttributes(windows);
  const pooled = graph.add(operator, [image], { shape, dtype: 'float32' }, attributes);
  return graph.cast(channelsLast(graph, pooled), x.dtype);
}

/**
 * Spreads each gradient evenly over the whole window, as tfjs does: where a window hangs over the
 * edge, the part outside is lost.
 */
function averagePoolGradient(
  graph: GraphBuilder,
  dy: Value,
  inShape: readonly number[],
  windows: Windows,
): Value {
  if (windows.sizes.length === 3) {
    // Devices have transposed convolutions of two axes at most.
    const share = graph.splat(Math.fround(1 / sizeOf(windows.sizes)), 'float32');
    const part = graph.binary('Mul', dy, share);
    return addUpThrough(
      graph,
      placesOf(windows).map(() => part),
      windows,
    );
  }
  const gradient = channelsFirst(graph, dy);
  const [batch, channels] = gradient.shape as [number, number];
  const planes = graph.reshape(gradient, [batch * channels, 1, ...windows.outSizes]);
  const share = graph.splat(Math.fround(1 / sizeOf(windows.sizes)), 'float32', [
    1,
    1,
    ...windows.sizes,
  ]);
  const shape = [batch * channels, 1, ...windows.inSizes];
  const attributes = transposedAttributes(windows);
  const sums = graph.add('ConvTranspose', [planes, share], { shape, dtype: 'float32' }, attributes);
  const images = graph.reshape(sums, [batch, inShape.at(-1)!, ...windows.inSizes]);
  return channelsLast(graph, images);
}

/** The places that the largest elements have in `x`, counted over rows, columns and channels, and batches if asked. */
function largestPlaces(
  graph: GraphBuilder,
  x: Value,
  windows: Windows,
  includeBatchInIndex: boolean,
): Value {
  const [batches, , , channels] = x.shape as [number, number, number, number];
  const [inRows, inColumns] = windows.inSizes as [number, number];
  const [rows, columns] = windows.outSizes as [number, number];
  const views = viewsThrough(graph, x, windows, 1, Number.NEGATIVE_INFINITY);
  const largest = views.reduce((most, view) => graph.binary('Max', most, view));
  const startOf = (place: readonly number[], axis: number, step: number) =>
    step * windows.strides[axis]! + place[axis]! - windows.before[axis]!;
  const places = placesOf(windows).map((place) => {
    const indices = new Int32Array(rows * columns * channels);
    for (let i = 0; i < indices.length; i++) {
      const [row, column, channel] = indicesOf(i, [rows, columns, channels]);
      const pixel = startOf(place, 0, row!) * inColumns + startOf(place, 1, column!);
      indices[i] = pixel * channels + channel!;
    }
    return graph.constant(indices, 'int32', [1, rows, columns, channels]);
  });
  // From the last to the first, so that the first of equal elements is what stays.
  const found = views.reduceRight<Value>((later, view, index) => {
    const hit = graph.binary('Equal', view, largest, 'bool');
    return graph.add('Where', [hit, places[index]!, later], { shape: hit.shape, dtype: 'int32' });
  }, places.at(-1)!);
  if (!includeBatchInIndex) return found;
  const size = inRows * inColumns * channels;
  const starts = Int32Array.from({ length: batches }, (_, batch) => batch * size);
  return graph.binary('Add', found, graph.constant(starts, 'int32', [batches, 1, 1, 1]));
}

const pooling = (operator: string): Kernel =>
  kernel<'x', PoolAttributes>((graph, { x }, attributes) =>
    pool(graph, operator, x, poolWindows(x.shape, attributes)),
  );

const maxGradient = kernel<'dy' | 'input', MaxPoolGradAttrs | MaxPool3DGradAttrs>(
  (graph, { dy, input }, attributes) =>
    graph.add('MaxPoolGradient', [dy, input], input, {
      ...poolWindows(input.shape, attributes as MaxPoolAttrs),
    }),
);

const averageGradient = kernel<'dy' | 'input', AvgPoolGradAttrs | AvgPool3DGradAttrs>(
  (graph, { dy, input }, attributes) => {
    const windows = poolWindows(input.shape, attributes as AvgPoolAttrs);
    return averagePoolGradient(graph, dy, input.shape, windows);
  },
);

export const poolingKernels: KernelTable = {
  MaxPool: pooling('MaxPool'),
  MaxPool3D: pooling('MaxPool'),
  MaxPoolGrad: maxGradient,
  MaxPool3DGrad: maxGradient,
  MaxPoolWithArgmax: kernel<'x', MaxPoolWithArgmaxAttrs>((graph, { x }, attributes) => {
    const { filterSize, strides, pad, includeBatchInIndex } = attributes;
    const windows = poolWindows(x.shape, { filterSize, strides, pad });
    const places = largestPlaces(graph, graph.cast(x, 'float32'), windows, includeBatchInIndex);
    return [pool(graph, 'MaxPool', x, windows), places];
  }),
  AvgPool: pooling('AveragePool'),
  AvgPool3D: pooling('AveragePool'),
  AvgPoolGrad: averageGradient,
  AvgPool3DGrad: averageGradient,
};
