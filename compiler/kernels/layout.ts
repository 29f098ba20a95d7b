import {
  backend_util,
  type ConcatAttrs,
  type ExpandDimsAttrs,
  type MirrorPadAttrs,
  type PackAttrs,
  type PadV2Attrs,
  type ReshapeAttrs,
  type ReverseAttrs,
  type SliceAttrs,
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
import { type KernelTable, kernel, listKernel, resolveAxes } from './kernel.ts';

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

export const layoutKernels: KernelTable = {
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

  Reverse: kernel<'x', ReverseAttrs>((graph, { x }, { dims }) => {
    const reversed = resolveAxes(dims, x.shape.length);
    const steps = x.shape.map((_, axis) => (reversed.includes(axis) ? -1 : 1));
    const starts = steps.map((step, axis) => (step < 0 ? x.shape[axis]! - 1 : 0));
    const ends = steps.map((step, axis) => (step < 0 ? Number.MIN_SAFE_INTEGER : x.shape[axis]!));
    return slice(graph, x, { starts, ends, steps }, x.shape);
  }),

  PadV2: kernel<'x', PadV2Attrs>((graph, { x }, { paddings, constantValue }) => {
    const shape = x.shape.map((size, axis) => paddings[axis]![0] + size + paddings[axis]![1]);
    const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)];
    const filler = graph.splat(constantValue, x.dtype);
    return graph.add('Pad', [x, filler], { shape, dtype: x.dtype }, { pads, mode: 'constant' });
  }),

  MirrorPad: kernel<'x', MirrorPadAttrs>((graph, { x }, { paddings, mode }) => {
    if (mode !== 'reflect') {
      throw new TypeError(`Padding with mode '${mode}' can't be compiled; use 'reflect'.`);
    }
    const shape = x.shape.map((size, axis) => paddings[axis]![0] + size + paddings[axis]![1]);
    const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)];
    return graph.add('Pad', [x], { shape, dtype: x.dtype }, { pads, mode });
  }),

  Tile: kernel<'x', TileAttrs>((graph, { x }, { reps }) => {
    const shape = x.shape.map((size, axis) => size * reps[axis]!);
    return graph.add('Tile', [x], { shape, dtype: x.dtype }, { repeats: reps });
  }),
};
