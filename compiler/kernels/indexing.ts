import type {
  BincountAttrs,
  DenseBincountAttrs,
  GatherV2Attrs,
  OneHotAttrs,
  ScatterNdAttrs,
  SearchSortedAttrs,
  SparseToDenseAttrs,
  UnsortedSegmentSumAttrs,
} from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import { type KernelTable, kernel, resolveAxes } from './kernel.ts';

/** Replaces or adds to the places of `base` that the rows of `indices` name. */
function scatter(
  graph: GraphBuilder,
  base: Value,
  indices: Value,
  updates: Value,
  reduction: 'none' | 'add',
): Value {
  // Single elements of a list: only this operator works in the place of its input where it may.
  if (base.shape.length === 1 && indices.shape.length === 2 && indices.shape[1] === 1) {
    const places = graph.reshape(graph.cast(indices, 'int64'), indices.shape.slice(0, 1));
    return graph.add('ScatterElements', [base, places, updates], base, { axis: 0, reduction });
  }
  const inputs = [base, graph.cast(indices, 'int64'), updates];
  return graph.add('ScatterND', inputs, base, { reduction });
}

/** @throws RangeError for a constant index out of range; ONNX counts negative ones from the end. */
function checkIndices({ constant }: Value, size: number): void {
  if (constant === undefined) return;
  const indices = 'data' in constant ? Array.from(constant.data, Number) : [constant.splat];
  const wrong = indices.find((index) => index < 0 || index >= size);
  if (wrong !== undefined) throw new RangeError(`The index ${wrong} is not in [0, ${size - 1}].`);
}

/** A gather whose first `batchDims` axes are the same in `x` and `indices`. */
function gatherInBatches(
  graph: GraphBuilder,
  x: Value,
  indices: Value,
  axis: number,
  batchDims: number,
): Value {
  // ONNX looks places up right after the batches: what lies between goes behind, and comes back.
  const axes = x.shape.map((_, index) => index);
  const between = axes.slice(batchDims, axis);
  const order = [...axes.slice(0, batchDims), axis, ...between, ...axes.slice(axis + 1)];
  const moved = graph.transpose(x, order);
  const places = graph.reshape(graph.cast(indices, 'int64'), [...indices.shape, 1]);
  const shape = [...indices.shape, ...moved.shape.slice(batchDims + 1)];
  const attributes = { batch_dims: batchDims };
  const found = graph.add('GatherND', [moved, places], { shape, dtype: x.dtype }, attributes);
  const outputs = shape.map((_, index) => index);
  const back = [
    ...outputs.slice(0, batchDims),
    ...outputs.slice(indices.shape.length, indices.shape.length + between.length),
    ...outputs.slice(batchDims, indices.shape.length),
    ...outputs.slice(indices.shape.length + between.length),
  ];
  return graph.transpose(found, back);
}

/** Whether each index is each of the classes from 0: `[…indices, depth]`. */
function isClass(graph: GraphBuilder, indices: Value, depth: number): Value {
  const classes = graph.constant(
    Int32Array.from({ length: depth }, (_, i) => i),
    'int32',
    [depth],
  );
  const rows = graph.reshape(graph.cast(indices, 'int32'), [...indices.shape, 1]);
  return graph.binary('Equal', rows, classes, 'bool');
}

/** How often each class is among the last axis of `indices`, or the sum of the weights that stand there. */
function countClasses(graph: GraphBuilder, indices: Value, weights: Value, size: number): Value {
  const hit = graph.cast(isClass(graph, indices, size), weights.dtype);
  const isWeighted = sizeOf(weights.shape) > 0;
  const shares = isWeighted
    ? graph.binary('Mul', hit, graph.reshape(weights, [...weights.shape, 1]))
    : hit;
  return graph.reduce('ReduceSum', shares, [indices.shape.length - 1], false);
}

export const indexingKernels: KernelTable = {
  GatherV2: kernel<'x' | 'indices', GatherV2Attrs>((graph, { x, indices }, attributes) => {
    const [axis = 0] = resolveAxes(attributes.axis, x.shape.length);
    const batchDims = attributes.batchDims ?? 0;
    checkIndices(indices, x.shape[axis]!);
    if (batchDims > 0) return gatherInBatches(graph, x, indices, axis, batchDims);
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    const places = graph.cast(indices, 'int32');
    return graph.add('Gather', [x, places], { shape, dtype: x.dtype }, { axis });
  }),

  GatherNd: kernel<'params' | 'indices'>((graph, { params, indices }) => {
    const depth = indices.shape.at(-1)!;
    const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(depth)];
    const inputs = [params, graph.cast(indices, 'int64')];
    return graph.add('GatherND', inputs, { shape, dtype: params.dtype });
  }),

  ScatterNd: kernel<'indices' | 'updates', ScatterNdAttrs>(
    (graph, { indices, updates }, { shape }) =>
      scatter(graph, graph.splat(0, updates.dtype, shape), indices, updates, 'add'),
  ),

  /** Single places, rows of places, or one; the values may be one for all. */
  SparseToDense: kernel<'sparseIndices' | 'sparseValues' | 'defaultValue', SparseToDenseAttrs>(
    (graph, { sparseIndices, sparseValues, defaultValue }, { outputShape }) => {
      const rank = outputShape.length;
      const count = sizeOf(sparseIndices.shape) / rank;
      const base = graph.expand(graph.reshape(defaultValue, []), outputShape);
      const updates = graph.expand(sparseValues, [count]);
      return scatter(graph, base, graph.reshape(sparseIndices, [count, rank]), updates, 'none');
    },
  ),

  TensorScatterUpdate: kernel<'tensor' | 'indices' | 'updates'>(
    (graph, { tensor, indices, updates }) => scatter(graph, tensor, indices, updates, 'none'),
  ),

  /** The gradient of a gather: rows of `x` are added up by the segment that they belong to. */
  UnsortedSegmentSum: kernel<'x' | 'segmentIds', UnsortedSegmentSumAttrs>(
    (graph, { x, segmentIds }, { numSegments }) => {
      const rank = segmentIds.shape.length;
      const base = graph.splat(0, x.dtype, [numSegments, ...x.shape.slice(rank)]);
      const indices = graph.reshape(segmentIds, [...segmentIds.shape, 1]);
      return scatter(graph, base, indices, x, 'add');
    },
  ),

  Bincount: kernel<'x' | 'weights', BincountAttrs>((graph, { x, weights }, { size }) =>
    countClasses(graph, x, weights, size),
  ),

  DenseBincount: kernel<'x' | 'weights', DenseBincountAttrs>(
    (graph, { x, weights }, { size, binaryOutput }) => {
      // Of a list tfjs counts all the same.
      if (!binaryOutput || x.shape.length === 1) return countClasses(graph, x, weights, size);
      const hit = graph.cast(isClass(graph, x, size), weights.dtype);
      return graph.reduce('ReduceMax', hit, [x.shape.length - 1], false);
    },
  ),

  /** For each value how many of the sorted ones of its row come before it. */
  SearchSorted: kernel<'sortedSequence' | 'values', SearchSortedAttrs>(
    (graph, { sortedSequence, values }, { side }) => {
      const [rows, columns] = sortedSequence.shape as [number, number];
      const comparison = side === 'left' ? 'Less' : 'LessOrEqual';
      const sorted = graph.reshape(sortedSequence, [rows, 1, columns]);
      const searched = graph.reshape(values, [...values.shape, 1]);
      const before = graph.binary(comparison, sorted, searched, 'bool');
      return graph.reduce('ReduceSum', graph.cast(before, 'int32'), [2], false);
    },
  ),

  /** An index out of range gives a row of `offValue`, as in tfjs. */
  OneHot: kernel<'indices', OneHotAttrs>((graph, { indices }, attributes) => {
    const { depth, onValue, offValue, dtype } = attributes;
    const type = dtype === 'int32' || dtype === 'bool' ? dtype : 'float32';
    const shape = [...indices.shape, depth];
    const hit = isClass(graph, indices, depth);
    if (onValue === 1 && offValue === 0) return graph.cast(hit, type);
    const branches = [graph.splat(onValue, 'float32'), graph.splat(offValue, 'float32')];
    return graph.cast(graph.add('Where', [hit, ...branches], { shape, dtype: 'float32' }), type);
  }),
};
