import type { backend_util } from '@tensorflow/tfjs-core';
import type { Value } from './graph.ts';
import type { GraphBuilder } from './graph-builder.ts';
import { indicesOf, sizeOf } from './tensor-spec.ts';

/**
 * How a window moves over the spatial axes of a tensor: what a convolution or a pooling looks at.
 * Each list has one number per spatial axis, two or three.
 */
export interface Windows {
  readonly inSizes: readonly number[];
  readonly outSizes: readonly number[];
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before the first element. */
  readonly before: readonly number[];
  /** Padding after the last element as far as a window reaches; negative where some are not read. */
  readonly after: readonly number[];
}

type Info2D = backend_util.Conv2DInfo;
type Info3D = backend_util.Conv3DInfo;

/** From what tfjs works out of attributes and shapes. */
export function windowsOf(info: Info2D | Info3D): Windows {
  const depth = 'inDepth' in info;
  const pick = (of3D: ((info: Info3D) => number) | undefined, ...of: number[]) =>
    depth && of3D !== undefined ? [of3D(info), ...of] : of;
  const inSizes = pick((i) => i.inDepth, info.inHeight, info.inWidth);
  const outSizes = pick((i) => i.outDepth, info.outHeight, info.outWidth);
  const strides = pick((i) => i.strideDepth, info.strideHeight, info.strideWidth);
  const dilations = pick((i) => i.dilationDepth, info.dilationHeight, info.dilationWidth);
  const sizes = pick((i) => i.filterDepth, info.filterHeight, info.filterWidth);
  const before = pick((i) => i.padInfo.front, info.padInfo.top, info.padInfo.left);
  const after = inSizes.map((size, axis) => {
    const reach = (outSizes[axis]! - 1) * strides[axis]! + dilations[axis]! * (sizes[axis]! - 1);
    return reach + 1 - size - before[axis]!;
  });
  return { inSizes, outSizes, sizes, strides, dilations, before, after };
}

/** A window of one element that reads every element once: no window at all. */
export function isPointwise({ sizes, strides, before, after }: Windows): boolean {
  const all = (list: readonly number[], value: number) => list.every((each) => each === value);
  return all(sizes, 1) && all(strides, 1) && all(before, 0) && all(after, 0);
}

/** ONNX's attributes of convolutions and poolings. */
export function windowAttributes({ sizes, strides, dilations, before, after }: Windows) {
  return { kernel_shape: sizes, strides, dilations, pads: [...before, ...after.map(notNegative)] };
}

/** The windows that take a gradient back through a convolution with strides of 1. */
export function backwardWindows(windows: Windows): Windows | undefined {
  const { inSizes, outSizes, sizes, strides, dilations } = windows;
  const reach = sizes.map((size, axis) => (size - 1) * dilations[axis]!);
  const before = reach.map((each, axis) => each - windows.before[axis]!);
  const after = reach.map((each, axis) => each - windows.after[axis]!);
  const isPlain = strides.every((stride) => stride === 1);
  if (!isPlain || [...before, ...after].some((pad) => pad < 0)) return undefined;
  return { inSizes: outSizes, outSizes: inSizes, sizes, strides, dilations, before, after };
}

/** Attributes of the transposed convolution that undoes these windows. */
export function transposedAttributes(windows: Windows) {
  // Elements that no window reads, at the end, get a gradient of zero.
  const output_padding = windows.after.map((pad) => Math.max(0, -pad));
  return { ...windowAttributes(windows), output_padding };
}

/** Reverses the window of a filter [window…, a, b]. */
export function turnAround(graph: GraphBuilder, filter: Value, { sizes }: Windows): Value {
  const axes = sizes.map((_, axis) => axis);
  return graph.reverse(filter, axes);
}

/**
 * ONNX's convolution, for a filter [outputs, inputs / groups, window…]; `groups` are parts of the
 * channels that don't see one another.
 */
export function slide(
  graph: GraphBuilder,
  x: Value,
  filter: Value,
  windows: Windows,
  groups = 1,
): Value {
  const shape = [x.shape[0]!, filter.shape[0]!, ...windows.outSizes];
  const operands = [channelsFirst(graph, x), filter];
  const attributes = { ...windowAttributes(windows), group: groups };
  return channelsLast(graph, graph.add('Conv', operands, { shape, dtype: x.dtype }, attributes));
}

/** ONNX's transposed convolution, for a filter [outputs, inputs / groups, window…]. */
export function slideBack(
  graph: GraphBuilder,
  dy: Value,
  filter: Value,
  windows: Windows,
  groups = 1,
): Value {
  const shape = [dy.shape[0]!, filter.shape[1]! * groups, ...windows.inSizes];
  const operands = [channelsFirst(graph, dy), filter];
  const attributes = { ...transposedAttributes(windows), group: groups };
  const result = graph.add('ConvTranspose', operands, { shape, dtype: dy.dtype }, attributes);
  return channelsLast(graph, result);
}

/** [window…, a, b] to [a, b, window…]. */
export function windowLast(graph: GraphBuilder, filter: Value, { sizes }: Windows): Value {
  const [a, b] = filter.shape.slice(-2) as [number, number];
  const flat = graph.reshape(filter, [sizeOf(sizes), a * b]);
  return graph.reshape(graph.transpose(flat, [1, 0]), [a, b, ...sizes]);
}

/**
 * What each place of the window sees: for every place, in row-major order, the elements of `x`
 * that it meets, with the result's sizes in the place of the input's; `filler` where it hangs over the
 * edge. `axis` is the first spatial axis, 1 with channels last.
 */
export function viewsThrough(
  graph: GraphBuilder,
  x: Value,
  windows: Windows,
  axis = 1,
  filler = 0,
): readonly Value[] {
  const { inSizes, outSizes, strides, dilations, before, after } = windows;
  const along = (values: readonly number[]) => x.shape.map((_, index) => values[index - axis] ?? 0);
  const padded = graph.pad(x, along(before), along(after.map(notNegative)), filler);
  const axes = inSizes.map((_, index) => axis + index);
  const shape = x.shape.toSpliced(axis, outSizes.length, ...outSizes);
  return placesOf(windows).map((place) => {
    const starts = place.map((offset, index) => offset * dilations[index]!);
    const ends = starts.map((start, index) => start + strides[index]! * (outSizes[index]! - 1) + 1);
    const attributes = { starts, ends, axes, steps: strides };
    return graph.add('Slice', [padded], { shape, dtype: x.dtype }, attributes);
  });
}

/** Of each view 1 where it has the largest element of all views and none before it has, 0 elsewhere. */
export function firstHits(graph: GraphBuilder, views: readonly Value[]): readonly Value[] {
  const largest = views.reduce((most, view) => graph.binary('Max', most, view));
  let rest: Value | undefined;
  return views.map((view) => {
    const hit = graph.cast(graph.binary('Equal', view, largest, 'bool'), 'float32');
    const first = rest === undefined ? hit : graph.binary('Mul', hit, rest);
    const missed = graph.binary('Sub', graph.splat(1, 'float32'), hit);
    rest = rest === undefined ? missed : graph.binary('Mul', rest, missed);
    return first;
  });
}

/**
 * The way back of `viewsThrough`: adds each place's elements, [batch, …out, channels], to those that it
 * had met, [batch, …in, channels]. Dilations are 1.
 *
 * Elements that are read by the same elements of the window (with strides of 2: those of even and
 * of odd rows and columns) are added up apart, and put side by side at the end.
 */
export function addUpThrough(
  graph: GraphBuilder,
  parts: readonly Value[],
  windows: Windows,
): Value {
  const { sizes, strides } = windows;
  const sums = new Map<string, Value>();
  for (const [index, part] of parts.entries()) {
    const place = indicesOf(index, sizes);
    const shift = place.map((offset, axis) => Math.floor(offset / strides[axis]!));
    const room = sizes.map((size, axis) => Math.floor((size - 1) / strides[axis]!) - shift[axis]!);
    const moved = graph.pad(part, [0, ...shift, 0], [0, ...room, 0], 0);
    const kind = String(place.map((offset, axis) => offset % strides[axis]!));
    const sum = sums.get(kind);
    sums.set(kind, sum === undefined ? moved : graph.binary('Add', sum, moved));
  }
  return crop(graph, interleave(graph, sums, windows, []), windows);
}

/** Puts the sums side by side along the axes that `residues` leaves open, the last one first. */
function interleave(
  graph: GraphBuilder,
  sums: ReadonlyMap<string, Value>,
  windows: Windows,
  residues: readonly number[],
): Value {
  const axis = residues.length;
  const stride = windows.strides[axis];
  if (stride === undefined) return sums.get(String(residues))!;
  const present = Math.min(stride, windows.sizes[axis]!);
  const parts = Array.from({ length: present }, (_, residue) =>
    interleave(graph, sums, windows, [...residues, residue]),
  );
  const [{ shape }] = parts as [Value];
  const apart = shape.toSpliced(axis + 2, 0, 1);
  const joined = graph.concat(
    parts.map((part) => graph.reshape(part, apart)),
    axis + 2,
  );
  const none = apart.map(() => 0);
  const filled = graph.pad(joined, none, none.with(axis + 2, stride - present), 0);
  return graph.reshape(filled, shape.with(axis + 1, shape[axis + 1]! * stride));
}

/** Leaves out what lies in the padding, and appends zeros for elements that no window reads. */
function crop(graph: GraphBuilder, x: Value, { inSizes, before }: Windows): Value {
  const have = x.shape.slice(1, -1);
  const ends = inSizes.map((size, axis) => Math.min(before[axis]! + size, have[axis]!));
  const shape = [x.shape[0]!, ...ends.map((end, axis) => end - before[axis]!), x.shape.at(-1)!];
  const axes = inSizes.map((_, axis) => axis + 1);
  const isWhole = ends.every((end, axis) => before[axis] === 0 && end === have[axis]);
  const attributes = { starts: before, ends, axes, steps: axes.map(() => 1) };
  const kept = isWhole ? x : graph.add('Slice', [x], { shape, dtype: x.dtype }, attributes);
  const missing = inSizes.map((size, axis) => size - shape[axis + 1]!);
  return graph.pad(kept, [0, ...before.map(() => 0), 0], [0, ...missing, 0], 0);
}

/** The places of a window, in row-major order. */
export function placesOf({ sizes }: Windows): readonly (readonly number[])[] {
  return sizes.reduce<readonly (readonly number[])[]>(
    (places, size) =>
      places.flatMap((place) => Array.from({ length: size }, (_, offset) => [...place, offset])),
    [[]],
  );
}

/** [batch, …spatial, channels] to [batch, channels, …spatial], as ONNX wants images. */
export function channelsFirst(graph: GraphBuilder, x: Value): Value {
  const last = x.shape.length - 1;
  return graph.transpose(x, [0, last, ...spatialAxes(x.shape.length)]);
}

/** [batch, channels, …spatial] to [batch, …spatial, channels], as tfjs has them. */
export function channelsLast(graph: GraphBuilder, x: Value): Value {
  return graph.transpose(x, [0, ...spatialAxes(x.shape.length).map((axis) => axis + 1), 1]);
}

function spatialAxes(rank: number): readonly number[] {
  return Array.from({ length: rank - 2 }, (_, index) => index + 1);
}

function notNegative(value: number): number {
  return Math.max(0, value);
}
