import {
  backend_util,
  type Conv2DAttrs,
  type Conv2DBackpropFilterAttrs,
  type Conv2DBackpropInputAttrs,
  type Conv3DAttrs,
  type Conv3DBackpropFilterV2Attrs,
  type Conv3DBackpropInputV2Attrs,
  type FusedConv2DAttrs,
} from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import { activate } from './activation.ts';
import { type KernelTable, kernel } from './kernel.ts';
import {
  backwardWindows,
  channelsFirst,
  channelsLast,
  isPointwise,
  slide,
  slideBack,
  turnAround,
  viewsThrough,
  type Windows,
  windowLast,
  windowsOf,
} from './windows.ts';

type Shape4 = [number, number, number, number];
type Shape5 = [number, number, number, number, number];

/**
 * `x` [batch, …in, inputs] and `filter` [window…, inputs, outputs] to [batch, …out, outputs].
 * ONNX has images channels first; turning activations costs a few percent of the products, and what
 * is turned twice is turned back by the layout pass.
 */
function convolve(graph: GraphBuilder, x: Value, filter: Value, windows: Windows): Value {
  const [inputs, outputs] = filter.shape.slice(-2) as [number, number];
  if (isPointwise(windows)) {
    const product = graph.gemm(asRows(graph, x), graph.reshape(filter, [inputs, outputs]));
    return graph.reshape(product, [...x.shape.slice(0, -1), outputs]);
  }
  return slide(graph, x, outputsFirst(graph, filter, windows), windows);
}

/**
 * The gradient of `x`, of shape `inShape`. With strides of 1 it is a convolution with the window
 * turned around, which the engine does faster than a transposed one.
 */
function inputGradient(
  graph: GraphBuilder,
  dy: Value,
  filter: Value,
  windows: Windows,
  inShape: readonly number[],
): Value {
  const [inputs, outputs] = filter.shape.slice(-2) as [number, number];
  if (isPointwise(windows)) {
    const weights = graph.reshape(filter, [inputs, outputs]);
    return graph.reshape(graph.gemm(asRows(graph, dy), weights, false, true), inShape);
  }
  const backward = backwardWindows(windows);
  if (backward === undefined) {
    return slideBack(graph, dy, outputsFirst(graph, filter, windows), windows);
  }
  const turned = windowLast(graph, turnAround(graph, filter, windows), windows);
  return slide(graph, dy, turned, backward);
}

/**
 * The gradient of the filter: what each place of the window saw, times the gradient of what came of
 * it, as one product. Measured on 3×3 windows and from 128 channels on it takes half as long as a
 * convolution whose window is as large as an image, which is how textbooks have it.
 */
function filterGradient(
  graph: GraphBuilder,
  x: Value,
  dy: Value,
  windows: Windows,
  filterShape: readonly number[],
): Value {
  const views = isPointwise(windows) ? [x] : viewsThrough(graph, x, windows);
  const seen = graph.concat(views, x.shape.length - 1);
  return graph.reshape(
    graph.gemm(asRows(graph, seen), asRows(graph, dy), true, false),
    filterShape,
  );
}

/**
 * [window…, inputs, outputs] to [outputs, inputs, window…], in two turns of matrices: in one the
 * engine goes element by element, at an eighth of the speed.
 */
function outputsFirst(graph: GraphBuilder, filter: Value, windows: Windows): Value {
  const [inputs, outputs] = filter.shape.slice(-2) as [number, number];
  const places = sizeOf(windows.sizes);
  const flat = graph.reshape(filter, [places, inputs, outputs]);
  const swapped = graph.reshape(graph.transpose(flat, [0, 2, 1]), [
    ...windows.sizes,
    outputs,
    inputs,
  ]);
  return windowLast(graph, swapped, windows);
}

/** [batch, …, channels] as a matrix [rows, channels]. */
function asRows(graph: GraphBuilder, x: Value): Value {
  const channels = x.shape.at(-1)!;
  return graph.reshape(x, [sizeOf(x.shape.slice(0, -1)), channels]);
}

/** Runs `body` on images with channels last, whatever `format` they come in. */
export function withFormat(
  graph: GraphBuilder,
  format: string,
  images: readonly Value[],
  body: (...images: Value[]) => Value,
): Value {
  if (!format.startsWith('NC')) return body(...images);
  return channelsFirst(graph, body(...images.map((image) => channelsLast(graph, image))));
}

export function conv2dWindows(
  inShape: readonly number[],
  filterShape: readonly number[],
  attributes: Pick<Conv2DAttrs, 'strides' | 'pad'> & Partial<Conv2DAttrs>,
  depthwise = false,
): Windows {
  const { strides, pad, dilations, dimRoundingMode, dataFormat = 'NHWC' } = attributes;
  return windowsOf(
    backend_util.computeConv2DInfo(
      [...inShape] as Shape4,
      [...filterShape] as Shape4,
      strides,
      // Layers leave it out, or null.
      dilations ?? 1,
      pad,
      dimRoundingMode,
      depthwise,
      backend_util.convertConv2DDataFormat(dataFormat),
    ),
  );
}

function conv3dWindows(
  inShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dilations = 1 }: Pick<Conv3DAttrs, 'strides' | 'pad'> & Partial<Conv3DAttrs>,
): Windows {
  const shapes = [[...inShape] as Shape5, [...filterShape] as Shape5] as const;
  return windowsOf(backend_util.computeConv3DInfo(...shapes, strides, dilations, pad));
}

export const convolutionKernels: KernelTable = {
  Conv2D: kernel<'x' | 'filter', Conv2DAttrs>((graph, { x, filter }, attributes) => {
    const windows = conv2dWindows(x.shape, filter.shape, attributes);
    return withFormat(graph, attributes.dataFormat, [x], (image) =>
      convolve(graph, image, filter, windows),
    );
  }),

  Conv2DBackpropInput: kernel<'dy' | 'filter', Conv2DBackpropInputAttrs>(
    (graph, { dy, filter }, attributes) => {
      const { inputShape, dataFormat } = attributes;
      const windows = conv2dWindows(inputShape, filter.shape, attributes);
      const [batch, ...rest] = inputShape;
      const last = dataFormat === 'NCHW' ? [batch, rest[1]!, rest[2]!, rest[0]!] : inputShape;
      return withFormat(graph, dataFormat, [dy], (gradient) =>
        inputGradient(graph, gradient, filter, windows, last),
      );
    },
  ),

  Conv2DBackpropFilter: kernel<'x' | 'dy', Conv2DBackpropFilterAttrs>(
    (graph, { x, dy }, attributes) => {
      const { filterShape, dataFormat } = attributes;
      const windows = conv2dWindows(x.shape, filterShape, attributes);
      const [images, gradients] =
        dataFormat === 'NCHW' ? [channelsLast(graph, x), channelsLast(graph, dy)] : [x, dy];
      return filterGradient(graph, images, gradients, windows, filterShape);
    },
  ),

  FusedConv2D: kernel<'x' | 'filter' | 'bias' | 'preluActivationWeights', FusedConv2DAttrs>(
    (graph, { x, filter, bias, preluActivationWeights }, attributes) => {
      const windows = conv2dWindows(x.shape, filter.shape, attributes);
      return withFormat(graph, attributes.dataFormat, [x], (image) => {
        const sum = convolve(graph, image, filter, windows);
        const biased = bias === undefined ? sum : graph.binary('Add', sum, bias);
        return activate(graph, biased, attributes, preluActivationWeights);
      });
    },
  ),

  Conv3D: kernel<'x' | 'filter', Conv3DAttrs>((graph, { x, filter }, attributes) =>
    convolve(graph, x, filter, conv3dWindows(x.shape, filter.shape, attributes)),
  ),

  Conv3DBackpropInputV2: kernel<'dy' | 'filter', Conv3DBackpropInputV2Attrs>(
    (graph, { dy, filter }, attributes) => {
      const { inputShape } = attributes;
      const windows = conv3dWindows(inputShape, filter.shape, attributes);
      return inputGradient(graph, dy, filter, windows, inputShape);
    },
  ),

  Conv3DBackpropFilterV2: kernel<'x' | 'dy', Conv3DBackpropFilterV2Attrs>(
    (graph, { x, dy }, attributes) => {
      const { filterShape } = attributes;
      return filterGradient(
        graph,
        x,
        dy,
        conv3dWindows(x.shape, filterShape, attributes),
        filterShape,
      );
    },
  ),
};
