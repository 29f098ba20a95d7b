import {
  backend_util,
  type CropAndResizeAttrs,
  type ResizeBilinearAttrs,
  type ResizeNearestNeighborAttrs,
  type RotateWithOffsetAttrs,
} from '@tensorflow/tfjs-core';
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

/** Where the rows (`axis` 0) or columns (1) of each box's crop lie in the image, [boxes, size]. */
function cropPositions(
  graph: GraphBuilder,
  boxes: Value,
  axis: 0 | 1,
  { size, sourceSize }: { readonly size: number; readonly sourceSize: number },
): Value {
  const last = sourceSize - 1;
  // From the box's first edge to its last; written so that at an edge it is that edge, whatever is rounded.
  const along = Float32Array.from({ length: size }, (_, i) =>
    size > 1 ? (i * last) / (size - 1) : last / 2,
  );
  const part = (column: number, shares: Float32Array) => {
    const edge = graph.add(
      'Slice',
      [boxes],
      { shape: [boxes.shape[0]!, 1], dtype: 'float32' },
      {
        starts: [column],
        ends: [column + 1],
        axes: [1],
        steps: [1],
      },
    );
    return graph.binary('Mul', edge, graph.constant(shares, 'float32', [1, size]));
  };
  const first = part(
    axis,
    along.map((each) => last - each),
  );
  return graph.binary('Add', first, part(axis + 2, along));
}

/** How much of each source element each position gets: [...positions, sourceSize]. */
function sharesAt(
  graph: GraphBuilder,
  positions: Value,
  sourceSize: number,
  method: CropAndResizeAttrs['method'],
): Value {
  const elements = graph.constant(
    Float32Array.from({ length: sourceSize }, (_, i) => i),
    'float32',
    [sourceSize],
  );
  const places = graph.reshape(positions, [...positions.shape, 1]);
  if (method === 'nearest') {
    const nearest = graph.unary('Floor', graph.binary('Add', places, graph.splat(0.5, 'float32')));
    return graph.cast(graph.binary('Equal', nearest, elements, 'bool'), 'float32');
  }
  const distance = graph.unary('Abs', graph.binary('Sub', places, elements));
  return graph.unary('Relu', graph.binary('Sub', graph.splat(1, 'float32'), distance));
}

function isWithin(graph: GraphBuilder, positions: Value, sourceSize: number): Value {
  const limits = [graph.splat(0, 'float32'), graph.splat(sourceSize - 1, 'float32')] as const;
  const above = graph.binary('GreaterOrEqual', positions, limits[0], 'bool');
  const below = graph.binary('LessOrEqual', positions, limits[1], 'bool');
  return graph.binary('And', above, below);
}

const cropAndResize = kernel<'image' | 'boxes' | 'boxInd', CropAndResizeAttrs>(
  (graph, { image, boxes, boxInd }, { cropSize, method, extrapolationValue }) => {
    const [batch, rows, columns, channels] = image.shape as [number, number, number, number];
    const [count] = boxes.shape as [number];
    const [height, width] = cropSize;
    const ys = cropPositions(graph, boxes, 0, { size: height, sourceSize: rows });
    const xs = cropPositions(graph, boxes, 1, { size: width, sourceSize: columns });
    // A box of no image of the batch gives zeros, as in tfjs.
    const index = graph.cast(boxInd, 'int32');
    const exists = graph.binary('Less', index, graph.splat(batch, 'int32'), 'bool');
    const chosen = graph.binary('Min', index, graph.splat(batch - 1, 'int32'));
    const pixels = graph.cast(image, 'float32');
    const shape = [count, rows, columns, channels];
    const images = graph.add('Gather', [pixels, chosen], { shape, dtype: 'float32' }, { axis: 0 });
    const ofRows = sharesAt(graph, ys, rows, method);
    const byRows = graph.reshape(images, [count, rows, columns * channels]);
    const tall = graph.add('MatMul', [ofRows, byRows], {
      shape: [count, height, columns * channels],
      dtype: 'float32',
    });
    const ofColumns = sharesAt(graph, xs, columns, method);
    const crops = graph.add(
      'MatMul',
      [
        graph.reshape(ofColumns, [count, 1, width, columns]),
        graph.reshape(tall, [count, height, columns, channels]),
      ],
      { shape: [count, height, width, channels], dtype: 'float32' },
    );
    const inside = graph.binary(
      'And',
      graph.reshape(isWithin(graph, ys, rows), [count, height, 1, 1]),
      graph.reshape(isWithin(graph, xs, columns), [count, 1, width, 1]),
    );
    const outside = graph.splat(extrapolationValue, 'float32');
    const filled = graph.add('Where', [inside, crops, outside], crops);
    const owned = graph.reshape(exists, [count, 1, 1, 1]);
    return graph.add('Where', [owned, filled, graph.splat(0, 'float32')], crops);
  },
);

/** The angle is known when the function is compiled, so each place's source is too. */
const rotate = kernel<'image', RotateWithOffsetAttrs>((graph, { image }, attributes) => {
  const { radians, fillValue, center } = attributes;
  const [batch, rows, columns, channels] = image.shape as [number, number, number, number];
  const [centerX, centerY] = backend_util.getImageCenter(center, rows, columns);
  const [sine, cosine] = [Math.sin(radians), Math.cos(radians)];
  const sources = new Int32Array(rows * columns);
  const known = new Uint8Array(rows * columns);
  for (let place = 0; place < sources.length; place++) {
    const [y, x] = [Math.floor(place / columns) - centerY, (place % columns) - centerX];
    const column = Math.round(x * cosine - y * sine + centerX);
    const row = Math.round(x * sine + y * cosine + centerY);
    if (column < 0 || column >= columns || row < 0 || row >= rows) continue;
    sources[place] = row * columns + column;
    known[place] = 1;
  }
  const pixels = graph.reshape(image, [batch, rows * columns, channels]);
  const places = graph.constant(sources, 'int32', [rows * columns]);
  const found = graph.add('Gather', [pixels, places], pixels, { axis: 1 });
  // A fourth channel is opacity.
  const fill = Float32Array.from({ length: channels }, (_, channel) =>
    typeof fillValue === 'number' ? fillValue : channel === 3 ? 255 : fillValue[channel]!,
  );
  const isKnown = graph.constant(known, 'bool', [rows * columns, 1]);
  const filler = graph.constant(fill, 'float32', [channels]);
  return graph.reshape(graph.add('Where', [isKnown, found, filler], found), image.shape);
});

export const imageKernels: KernelTable = {
  CropAndResize: cropAndResize,

  FlipLeftRight: kernel<'image'>((graph, { image }) => graph.reverse(image, [2])),

  ResizeBilinear: resize(bilinear),
  ResizeBilinearGrad: resizeGradient(bilinear),
  ResizeNearestNeighbor: resize(nearest),
  ResizeNearestNeighborGrad: resizeGradient(nearest),

  RotateWithOffset: rotate,
};
