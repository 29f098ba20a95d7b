import type { ResizeBilinearAttrs, ResizeNearestNeighborAttrs } from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { type Kernel, type KernelTable, kernel, UnsupportedError } from './kernel.ts';

type ResizeAttributes = ResizeBilinearAttrs | ResizeNearestNeighborAttrs;

/** How much of each source element goes into one element of the result. */
type Shares = (position: number, sourceSize: number) => readonly (readonly [number, number])[];

/** Source elements and weights of `position`, a place between two elements. */
const bilinear =
  ({ halfPixelCenters }: ResizeAttributes, ratio: number): Shares =>
  (position, sourceSize) => {
    const place = halfPixelCenters ? ratio * (position + 0.5) - 0.5 : ratio * position;
    const below = Math.max(0, Math.floor(place));
    const above = Math.min(sourceSize - 1, Math.ceil(place));
    const share = place - below;
    return below === above
      ? [[below, 1]]
      : [
          [below, 1 - share],
          [above, share],
        ];
  };

const nearest =
  ({ alignCorners, halfPixelCenters }: ResizeAttributes, ratio: number): Shares =>
  (position, sourceSize) => {
    const place = ratio * (halfPixelCenters ? position + 0.5 : position);
    const whole = alignCorners ? Math.round(place) : Math.floor(place);
    return [[Math.min(sourceSize - 1, Math.max(0, whole)), 1]];
  };

type Method = typeof bilinear;

/** A matrix [target, source] that resizes one axis: resizing is linear, axis by axis. */
function resizeMatrix(
  graph: GraphBuilder,
  method: Method,
  attributes: ResizeAttributes,
  source: number,
  target: number,
): Value {
  const corners = attributes.alignCorners && target > 1 ? 1 : 0;
  const shares = method(attributes, (source - corners) / (target - corners));
  const matrix = new Float32Array(target * source);
  for (let position = 0; position < target; position++) {
    for (const [index, share] of shares(position, source)) {
      matrix[position * source + index]! += share;
    }
  }
  return graph.constant(matrix, 'float32', [target, source]);
}

/** Multiplies rows and columns of `images` [batch, rows, columns, channels] by a matrix each. */
function applyToBothAxes(
  graph: GraphBuilder,
  images: Value,
  ofRows: Value,
  ofColumns: Value,
): Value {
  const [batch, rows, columns, channels] = images.shape as [number, number, number, number];
  const [newRows, newColumns] = [ofRows.shape[0]!, ofColumns.shape[0]!];
  const byRows = graph.reshape(images, [batch, rows, columns * channels]);
  const tall = graph.add('MatMul', [ofRows, byRows], {
    shape: [batch, newRows, columns * channels],
    dtype: 'float32',
  });
  const byColumns = graph.reshape(tall, [batch * newRows, columns, channels]);
  const both = graph.add('MatMul', [ofColumns, byColumns], {
    shape: [batch * newRows, newColumns, channels],
    dtype: 'float32',
  });
  return graph.reshape(both, [batch, newRows, newColumns, channels]);
}

const resize = (method: Method): Kernel =>
  kernel<'images', ResizeAttributes>((graph, { images }, attributes) => {
    const matrices = attributes.size.map((target, axis) =>
      resizeMatrix(graph, method, attributes, images.shape[axis + 1]!, target),
    );
    return applyToBothAxes(graph, graph.cast(images, 'float32'), matrices[0]!, matrices[1]!);
  });

/** The same matrices transposed take the gradient back. */
const resizeGradient = (method: Method): Kernel =>
  kernel<'images' | 'dy', ResizeAttributes>((graph, { images, dy }, attributes) => {
    if (attributes.halfPixelCenters) {
      throw new UnsupportedError(
        'The gradient of a resize with halfPixelCenters can’t be compiled: TensorFlow.js itself ' +
          'leaves the setting out of it.',
      );
    }
    const matrices = [1, 2].map((axis) => {
      const [source, target] = [images.shape[axis]!, dy.shape[axis]!];
      return graph.transpose(resizeMatrix(graph, method, attributes, source, target), [1, 0]);
    });
    return applyToBothAxes(graph, dy, matrices[0]!, matrices[1]!);
  });

export const imageKernels: KernelTable = {
  FlipLeftRight: kernel<'image'>((graph, { image }) => graph.reverse(image, [2])),

  ResizeBilinear: resize(bilinear),
  ResizeBilinearGrad: resizeGradient(bilinear),
  ResizeNearestNeighbor: resize(nearest),
  ResizeNearestNeighborGrad: resizeGradient(nearest),
};
