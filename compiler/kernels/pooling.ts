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
} from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import {
  addUpThrough,
  channelsFirst,
  channelsLast,
  placesOf,
  transposedAttributes,
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
  AvgPool: pooling('AveragePool'),
  AvgPool3D: pooling('AveragePool'),
  AvgPoolGrad: averageGradient,
  AvgPool3DGrad: averageGradient,
};
