import type { GraphNode, Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { indicesOf, sizeOf } from '../tensor-spec.ts';
import type { Windows } from '../windows.ts';

/**
 * Convolutions with 3×3 windows by minimal filtering (Winograd; Lavin and Gray 2015, arXiv
 * 1509.09308, F(2×2, 3×3)): 16 products of elements give 2×2 results, where 36 would. With d the
 * 4×4 elements under a tile, g the window and ⊙ elementwise, summed over channels:
 *
 *     y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A
 *
 * All three transforms are linear and the same for each image and channel. So with the places of an
 * image outermost they are products with constant matrices, and ⊙ is 16 products of matrices. The
 * gradients are the transposed maps: they share the transformed images and filter.
 */
const inputTransform = [
  [1, 0, -1, 0],
  [0, 1, 1, 0],
  [0, -1, 1, 0],
  [0, 1, 0, -1],
] as const;
const filterTransform = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
] as const;
const outputTransform = [
  [1, 1, 1, 0],
  [0, 1, -1, -1],
] as const;

const TILE = 4;
const PRODUCTS = TILE * TILE;

/** Rows of each of the 16 products below which reading the filter takes longer than they do. */
const ROWS_MIN = 64;
/** Channels below which the products are no faster for being fewer. */
const CHANNELS_MIN = 64;

/**
 * Whether minimal filtering pays: what the transforms of whole images cost grows with the square of
 * their size, what it saves with the number of channels.
 */
export function suitsMinimalFiltering(node: GraphNode, filter: Value): boolean {
  const windows = node.attributes as unknown as Windows;
  const { inSizes, outSizes, sizes, strides, dilations } = windows;
  const [inputs, outputs] = filter.shape.slice(-2) as [number, number];
  const isPlain = [...strides, ...dilations].every((each) => each === 1);
  if (sizes.length !== 2 || !isPlain || sizes.some((size) => size !== 3)) return false;
  const images = node.inputs[0]!.shape[0]!;
  if (Math.min(inputs, outputs) < CHANNELS_MIN) return false;
  if (images * sizeOf(tilesOf(windows)) < ROWS_MIN) return false;
  // Multiplications saved per place, against those of the transforms, which run at half the rate.
  return 5 * inputs * outputs > 8 * sizeOf(inSizes) * (inputs + outputs) && sizeOf(outSizes) > 0;
}

/** `x` [batch, …in, inputs] and `filter` [3, 3, inputs, outputs] to [batch, …out, outputs]. */
export function minimalConvolution(
  graph: GraphBuilder,
  x: Value,
  filter: Value,
  windows: Windows,
): Value {
  const products = matMul(
    graph,
    transformImages(graph, x, windows),
    transformFilter(graph, filter),
  );
  const flat = flatten(graph, products, windows);
  return toImages(graph, graph.gemm(outputMatrix(graph, windows), flat), windows.outSizes, x);
}

/** `dy` [batch, …out, outputs] to the gradient of x, [batch, …in, inputs]. */
export function minimalInputGradient(
  graph: GraphBuilder,
  dy: Value,
  filter: Value,
  windows: Windows,
): Value {
  const turned = graph.transpose(transformFilter(graph, filter), [0, 2, 1]);
  const products = matMul(graph, transformGradient(graph, dy, windows), turned);
  const flat = flatten(graph, products, windows);
  const sums = graph.gemm(inputMatrix(graph, windows), flat, true, false);
  return toImages(graph, sums, windows.inSizes, dy);
}

/** The gradient of the filter, [3, 3, inputs, outputs]. */
export function minimalFilterGradient(
  graph: GraphBuilder,
  x: Value,
  dy: Value,
  windows: Windows,
): Value {
  const images = graph.transpose(transformImages(graph, x, windows), [0, 2, 1]);
  const products = matMul(graph, images, transformGradient(graph, dy, windows));
  const [, inputs, outputs] = products.shape as [number, number, number];
  const flat = graph.reshape(products, [PRODUCTS, inputs * outputs]);
  return graph.reshape(graph.gemm(filterMatrix(graph), flat, true, false), [3, 3, inputs, outputs]);
}

/** [batch, …in, channels] to [16, tiles · batch, channels]. */
function transformImages(graph: GraphBuilder, x: Value, windows: Windows): Value {
  return transform(graph, x, inputMatrix(graph, windows), false);
}

/** [batch, …out, channels] to [16, tiles · batch, channels], by the transposed output transform. */
function transformGradient(graph: GraphBuilder, dy: Value, windows: Windows): Value {
  return transform(graph, dy, outputMatrix(graph, windows), true);
}

function transform(graph: GraphBuilder, x: Value, matrix: Value, transposed: boolean): Value {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const outermost = graph.transpose(x, [1, 2, 0, 3]);
  const flat = graph.reshape(outermost, [height * width, batch * channels]);
  const products = graph.gemm(matrix, flat, transposed, false);
  return graph.reshape(products, [PRODUCTS, (products.shape[0]! / PRODUCTS) * batch, channels]);
}

/** [3, 3, inputs, outputs] to [16, inputs, outputs]. */
function transformFilter(graph: GraphBuilder, filter: Value): Value {
  const [, , inputs, outputs] = filter.shape as [number, number, number, number];
  const flat = graph.reshape(filter, [9, inputs * outputs]);
  return graph.reshape(graph.gemm(filterMatrix(graph), flat), [PRODUCTS, inputs, outputs]);
}

/** [16, tiles · batch, channels] to [16 · tiles, batch · channels]. */
function flatten(graph: GraphBuilder, x: Value, windows: Windows): Value {
  const tiles = sizeOf(tilesOf(windows));
  return graph.reshape(x, [PRODUCTS * tiles, sizeOf(x.shape) / (PRODUCTS * tiles)]);
}

/** [places, batch · channels] to [batch, …sizes, channels], with the batch of `like`. */
function toImages(graph: GraphBuilder, x: Value, sizes: readonly number[], like: Value): Value {
  const batch = like.shape[0]!;
  const images = graph.reshape(x, [...sizes, batch, x.shape[1]! / batch]);
  return graph.transpose(images, [2, 0, 1, 3]);
}

function matMul(graph: GraphBuilder, a: Value, b: Value): Value {
  const shape = [PRODUCTS, a.shape[1]!, b.shape[2]!];
  return graph.add('MatMul', [a, b], { shape, dtype: a.dtype });
}

function tilesOf({ outSizes }: Windows): readonly number[] {
  return outSizes.map((size) => Math.ceil(size / 2));
}

/** [16 · tiles, places of the input]; elements in the padding are zero and have no column. */
function inputMatrix(graph: GraphBuilder, windows: Windows): Value {
  const { inSizes, before } = windows;
  return matrix(graph, [PRODUCTS, ...tilesOf(windows)], inSizes, ([product, ...tile], place) =>
    factors(product!, (index, axis) => {
      const offset = place[axis]! + before[axis]! - 2 * tile[axis]!;
      return inputTransform[index]![offset] ?? 0;
    }),
  );
}

/** [places of the result, 16 · tiles] */
function outputMatrix(graph: GraphBuilder, windows: Windows): Value {
  return matrix(
    graph,
    windows.outSizes,
    [PRODUCTS, ...tilesOf(windows)],
    (place, [product, ...tile]) =>
      factors(product!, (index, axis) => {
        const offset = place[axis]! - 2 * tile[axis]!;
        return outputTransform[offset]?.[index] ?? 0;
      }),
  );
}

/** [16, 9] */
function filterMatrix(graph: GraphBuilder): Value {
  return matrix(graph, [PRODUCTS], [3, 3], ([product], place) =>
    factors(product!, (index, axis) => filterTransform[index]![place[axis]!]!),
  );
}

/** A transform of both axes is the product of its factors for each. */
function factors(product: number, factorOf: (index: number, axis: number) => number): number {
  return factorOf(Math.floor(product / TILE), 0) * factorOf(product % TILE, 1);
}

function matrix(
  graph: GraphBuilder,
  rows: readonly number[],
  columns: readonly number[],
  elementAt: (row: readonly number[], column: readonly number[]) => number,
): Value {
  const shape = [sizeOf(rows), sizeOf(columns)];
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, index) =>
    elementAt(
      indicesOf(Math.floor(index / shape[1]!), rows),
      indicesOf(index % shape[1]!, columns),
    ),
  );
  return graph.constant(data, 'float32', shape);
}
