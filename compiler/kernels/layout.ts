import {
  type BatchToSpaceNDAttrs,
  backend_util,
  type ConcatAttrs,
  type DepthToSpaceAttrs,
  type ExpandDimsAttrs,
  type MirrorPadAttrs,
  type PackAttrs,
  type PadV2Attrs,
  type ReshapeAttrs,
  type ReverseAttrs,
  type SliceAttrs,
  type SpaceToBatchNDAttrs,
  type SplitVAttrs,
  type StridedSliceAttrs,
  slice_util,
  type Tensor,
  type TileAttrs,
  type TransposeAttrs,
  type UnpackAttrs,
  util,
} from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import {
  type KernelTable,
  kernel,
  listKernel,
  numeric,
  resolveAxes,
  UnsupportedError,
} from './kernel.ts';

const firstAxis = (axis: number | readonly number[], rank: number) => resolveAxes(axis, rank)[0]!;

/** Cuts `x` into parts of the given sizes along one axis. */
function split(
  graph: GraphBuilder,
  x: Value,
  sizes: readonly number[],
  axis: number,
): readonly Value[] {
  if (sizes.length === 1) return [x];
  const outputs = sizes.map((size) => ({ shape: x.shape.with(axis, size), dtype: x.dtype }));
  return graph.addMany('Split', [x], outputs, { axis, split: sizes });
}

/** Every `steps`-th element from `starts` up to and without `ends`; negative steps run backwards. */
function slice(
  graph: GraphBuilder,
  x: Value,
  range: { starts: readonly number[]; ends: readonly number[]; steps: readonly number[] },
  shape: readonly number[],
): Value {
  const axes = x.shape.map((_, axis) => axis);
  return graph.add('Slice', [x], { shape, dtype: x.dtype }, { ...range, axes });
}

/** `length` elements of one axis, from `start` on. */
function cut(graph: GraphBuilder, x: Value, axis: number, start: number, length: number): Value {
  const output = { shape: x.shape.with(axis, length), dtype: x.dtype };
  const range = { starts: [start], ends: [start + length], axes: [axis], steps: [1] };
  return graph.add('Slice', [x], output, range);
}

export const layoutKernels: KernelTable = {
  Diag: kernel<'x'>((graph, { x }) => {
    const size = sizeOf(x.shape);
    const unit = Uint8Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
    const isDiagonal = graph.constant(unit, 'bool', [size, size]);
    const column = graph.reshape(numeric(graph, x), [size, 1]);
    const branches = [isDiagonal, column, graph.splat(0, column.dtype)];
    const matrix = graph.add('Where', branches, { shape: [size, size], dtype: column.dtype });
    return graph.cast(graph.reshape(matrix, [...x.shape, ...x.shape]), x.dtype);
  }),

  Reshape: kernel<'x', ReshapeAttrs>((graph, { x }, { shape }) =>
    graph.reshape(x, util.inferFromImplicitShape(shape, sizeOf(x.shape))),
  ),

  ExpandDims: kernel<'input', ExpandDimsAttrs>((graph, { input }, { dim }) => {
    const axis = dim < 0 ? dim + input.shape.length + 1 : dim;
    return graph.reshape(input, input.shape.toSpliced(axis, 0, 1));
  }),

  Transpose: kernel<'x', TransposeAttrs>((graph, { x }, { perm }) => graph.transpose(x, perm)),

  Concat: listKernel<ConcatAttrs>((graph, inputs, { axis }) => {
    const resolved = firstAxis(axis, inputs[0]!.shape.length);
    const filled = inputs.filter((input) => sizeOf(input.shape) > 0);
    return filled.length === 0 ? inputs[0]! : graph.concat(filled, resolved);
  }),

  Pack: listKernel<PackAttrs>((graph, inputs, attributes) => {
    const rank = inputs[0]!.shape.length + 1;
    const axis = firstAxis(attributes.axis, rank);
    const shape = inputs[0]!.shape.toSpliced(axis, 0, 1);
    const parts = inputs.map((input) => graph.reshape(input, shape));
    return graph.concat(parts, axis);
  }),

  Unpack: kernel<'value', UnpackAttrs>((graph, { value }, attributes) => {
    const axis = firstAxis(attributes.axis, value.shape.length);
    const sizes = Array.from({ length: value.shape[axis]! }, () => 1);
    const shape = value.shape.toSpliced(axis, 1);
    return split(graph, value, sizes, axis).map((part) => graph.reshape(part, shape));
  }),

  SplitV: kernel<'x', SplitVAttrs>((graph, { x }, { numOrSizeSplits, axis }) => {
    const resolved = firstAxis(axis, x.shape.length);
    // tfjs reads the shape only, but declares a tensor.
    const shaped = x as unknown as Tensor;
    const sizes = backend_util.prepareSplitSize(shaped, numOrSizeSplits, resolved);
    return split(graph, x, sizes, resolved);
  }),

  Slice: kernel<'x', SliceAttrs>((graph, { x }, { begin, size }) => {
    const shaped = x as unknown as Tensor;
    const [starts, sizes] = slice_util.parseSliceParams(shaped, begin, size) as [
      number[],
      number[],
    ];
    slice_util.assertParamsValid(shaped, starts, sizes);
    const ends = starts.map((start, axis) => start + sizes[axis]!);
    return slice(graph, x, { starts, ends, steps: sizes.map(() => 1) }, sizes);
  }),

  StridedSlice: kernel<'x', StridedSliceAttrs>((graph, { x }, attributes) => {
    const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } =
      attributes;
    const info = slice_util.sliceInfo(
      [...x.shape],
      begin,
      end,
      strides,
      beginMask,
      endMask,
      ellipsisMask,
      newAxisMask,
      shrinkAxisMask,
    );
    if (info.isIdentity) return graph.reshape(x, info.finalShape);
    // A backward range that ends at the first element ends at −1 here, which ONNX reads as the last.
    const ends = info.end.map((each) => (each < 0 ? Number.MIN_SAFE_INTEGER : each));
    const range = { starts: info.begin, ends, steps: info.strides };
    return graph.reshape(slice(graph, x, range, info.finalShapeSparse), info.finalShape);
  }),

  Reverse: kernel<'x', ReverseAttrs>((graph, { x }, { dims }) =>
    graph.reverse(x, resolveAxes(dims, x.shape.length)),
  ),

  PadV2: kernel<'x', PadV2Attrs>((graph, { x }, { paddings, constantValue }) => {
    const [before, after] = [paddings.map(([each]) => each), paddings.map(([, each]) => each)];
    return graph.pad(x, before, after, constantValue);
  }),

  /** Mirrors with or without the edge itself, axis by axis: what ONNX pads lacks the former. */
  MirrorPad: kernel<'x', MirrorPadAttrs>((graph, { x }, { paddings, mode }) =>
    paddings.reduce((padded, [before, after], axis) => {
      const edge = mode === 'reflect' ? 1 : 0;
      const size = padded.shape[axis]!;
      const strip = (start: number, length: number) =>
        graph.reverse(cut(graph, padded, axis, start, length), [axis]);
      return graph.concat(
        [
          ...(before > 0 ? [strip(edge, before)] : []),
          padded,
          ...(after > 0 ? [strip(size - edge - after, after)] : []),
        ],
        axis,
      );
    }, x),
  ),

  /** Where only axes of size 1 are repeated it is a broadcast, which mostly costs nothing. */
  Tile: kernel<'x', TileAttrs>((graph, { x }, { reps }) => {
    const shape = x.shape.map((size, axis) => size * reps[axis]!);
    if (reps.every((times, axis) => times === 1 || x.shape[axis] === 1)) {
      return graph.expand(x, shape);
    }
    return graph.add('Tile', [x], { shape, dtype: x.dtype }, { repeats: reps });
  }),

  DepthToSpace: kernel<'x', DepthToSpaceAttrs>((graph, { x }, { blockSize, dataFormat }) => {
    if (dataFormat !== 'NHWC')
      throw new UnsupportedError('depthToSpace can be compiled for NHWC only.');
    const [batch, height, width, depth] = x.shape as [number, number, number, number];
    const channels = depth / blockSize ** 2;
    const blocks = graph.reshape(x, [batch, height, width, blockSize, blockSize, channels]);
    const shape = [batch, height * blockSize, width * blockSize, channels];
    return graph.reshape(graph.transpose(blocks, [0, 1, 3, 2, 4, 5]), shape);
  }),

  SpaceToBatchND: kernel<'x', SpaceToBatchNDAttrs>((graph, { x }, { blockShape, paddings }) => {
    const rest = x.shape.length - 1 - blockShape.length;
    const [before, after] = [0, 1].map((side) => [
      0,
      ...paddings.map((pads) => pads[side]!),
      ...Array<number>(rest).fill(0),
    ]) as [number[], number[]];
    const padded = graph.pad(x, before, after, 0);
    const [batch, ...sizes] = padded.shape as [number, ...number[]];
    const blocks = sizes.flatMap((size, axis) => {
      const block = blockShape[axis];
      return block === undefined ? [size] : [size / block, block];
    });
    const count = blockShape.length;
    const within = blockShape.map((_, axis) => 2 * axis + 2);
    const across = blockShape.map((_, axis) => 2 * axis + 1);
    const others = Array.from({ length: rest }, (_, index) => 2 * count + 1 + index);
    const split = graph.reshape(padded, [batch, ...blocks]);
    const moved = graph.transpose(split, [...within, 0, ...across, ...others]);
    return graph.reshape(moved, [
      batch * sizeOf(blockShape),
      ...sizes.map((size, axis) => size / (blockShape[axis] ?? 1)),
    ]);
  }),

  BatchToSpaceND: kernel<'x', BatchToSpaceNDAttrs>((graph, { x }, { blockShape, crops }) => {
    const [batch, ...sizes] = x.shape as [number, ...number[]];
    const outer = batch / sizeOf(blockShape);
    const count = blockShape.length;
    const split = graph.reshape(x, [...blockShape, outer, ...sizes]);
    const interleaved = blockShape.flatMap((_, axis) => [count + 1 + axis, axis]);
    const others = sizes.slice(count).map((_, index) => 2 * count + 1 + index);
    const moved = graph.transpose(split, [count, ...interleaved, ...others]);
    const whole = sizes.map((size, axis) => size * (blockShape[axis] ?? 1));
    const joined = graph.reshape(moved, [outer, ...whole]);
    return crops.reduce((cropped, [before, after], index) => {
      const length = cropped.shape[index + 1]! - before! - after!;
      return cut(graph, cropped, index + 1, before!, length);
    }, joined);
  }),
};
