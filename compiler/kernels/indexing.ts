import type {
  GatherV2Attrs,
  OneHotAttrs,
  ScatterNdAttrs,
  UnsortedSegmentSumAttrs,
} from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
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

export const indexingKernels: KernelTable = {
  GatherV2: kernel<'x' | 'indices', GatherV2Attrs>((graph, { x, indices }, attributes) => {
    const [axis = 0] = resolveAxes(attributes.axis, x.shape.length);
    if ((attributes.batchDims ?? 0) !== 0) {
      throw new TypeError('tf.gather with batchDims can’t be compiled; use tf.gatherND.');
    }
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

  /** An index out of range gives a row of `offValue`, as in tfjs. */
  OneHot: kernel<'indices', OneHotAttrs>((graph, { indices }, attributes) => {
    const { depth, onValue, offValue, dtype } = attributes;
    const type = dtype === 'int32' || dtype === 'bool' ? dtype : 'float32';
    const shape = [...indices.shape, depth];
    const classes = graph.constant(
      Int32Array.from({ length: depth }, (_, i) => i),
      'int32',
      [depth],
    );
    const rows = graph.reshape(graph.cast(indices, 'int32'), [...indices.shape, 1]);
    const hit = graph.binary('Equal', rows, classes, 'bool');
    if (onValue === 1 && offValue === 0) return graph.cast(hit, type);
    const branches = [graph.splat(onValue, 'float32'), graph.splat(offValue, 'float32')];
    return graph.cast(graph.add('Where', [hit, ...branches], { shape, dtype: 'float32' }), type);
  }),
};
