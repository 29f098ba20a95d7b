import type {
  DepthwiseConv2dNativeAttrs,
  DepthwiseConv2dNativeBackpropFilterAttrs,
  DepthwiseConv2dNativeBackpropInputAttrs,
  FusedDepthwiseConv2DAttrs,
} from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import {
  backwardWindows,
  slide,
  slideBack,
  turnAround,
  viewsThrough,
  type Windows,
  windowLast,
} from '../windows.ts';
import { activate } from './activation.ts';
import { conv2dWindows, withFormat } from './convolution.ts';
import { type KernelTable, kernel } from './kernel.ts';

/** A filter [window…, channels, multiplier] as ONNX has it: [channels·multiplier, 1, window…]. */
function groupedFilter(graph: GraphBuilder, filter: Value, windows: Windows): Value {
  const [channels, multiplier] = filter.shape.slice(-2) as [number, number];
  const last = windowLast(graph, filter, windows);
  return graph.reshape(last, [channels * multiplier, 1, ...windows.sizes]);
}

function convolve(graph: GraphBuilder, x: Value, filter: Value, windows: Windows): Value {
  const channels = filter.shape.at(-2)!;
  return slide(graph, x, groupedFilter(graph, filter, windows), windows, channels);
}

function inputGradient(graph: GraphBuilder, dy: Value, filter: Value, windows: Windows): Value {
  const channels = filter.shape.at(-2)!;
  const backward = backwardWindows(windows);
  if (backward === undefined) {
    return slideBack(graph, dy, groupedFilter(graph, filter, windows), windows, channels);
  }
  const turned = windowLast(graph, turnAround(graph, filter, windows), windows);
  return slide(graph, dy, turned, backward, channels);
}

/** For each place of the window, what it saw times the gradient of what came of it, added up. */
function filterGradient(
  graph: GraphBuilder,
  x: Value,
  dy: Value,
  windows: Windows,
  filterShape: readonly number[],
): Value {
  const [channels, multiplier] = filterShape.slice(-2) as [number, number];
  const outer = dy.shape.slice(0, -1);
  const gradients = graph.reshape(dy, [...outer, channels, multiplier]);
  const summed = outer.map((_, axis) => axis);
  const places = viewsThrough(graph, x, windows).map((view) => {
    const seen = graph.reshape(view, [...outer, channels, 1]);
    const sum = graph.reduce('ReduceSum', graph.binary('Mul', seen, gradients), summed, false);
    return graph.reshape(sum, [1, channels, multiplier]);
  });
  return graph.reshape(graph.concat(places, 0), filterShape);
}

export const depthwiseKernels: KernelTable = {
  DepthwiseConv2dNative: kernel<'x' | 'filter', DepthwiseConv2dNativeAttrs>(
    (graph, { x, filter }, attributes) => {
      const windows = conv2dWindows(x.shape, filter.shape, attributes, true);
      return withFormat(graph, attributes.dataFormat, [x], (image) =>
        convolve(graph, image, filter, windows),
      );
    },
  ),

  FusedDepthwiseConv2D: kernel<
    'x' | 'filter' | 'bias' | 'preluActivationWeights',
    FusedDepthwiseConv2DAttrs
  >((graph, { x, filter, bias, preluActivationWeights }, attributes) => {
    const windows = conv2dWindows(x.shape, filter.shape, attributes, true);
    return withFormat(graph, attributes.dataFormat, [x], (image) => {
      const sum = convolve(graph, image, filter, windows);
      const biased = bias === undefined ? sum : graph.binary('Add', sum, bias);
      return activate(graph, biased, attributes, preluActivationWeights);
    });
  }),

  DepthwiseConv2dNativeBackpropInput: kernel<
    'dy' | 'filter',
    DepthwiseConv2dNativeBackpropInputAttrs
  >((graph, { dy, filter }, attributes) => {
    const windows = conv2dWindows(attributes.inputShape, filter.shape, attributes, true);
    return inputGradient(graph, dy, filter, windows);
  }),

  DepthwiseConv2dNativeBackpropFilter: kernel<'x' | 'dy', DepthwiseConv2dNativeBackpropFilterAttrs>(
    (graph, { x, dy }, attributes) => {
      const { filterShape } = attributes;
      const windows = conv2dWindows(x.shape, filterShape, attributes, true);
      return filterGradient(graph, x, dy, windows, filterShape);
    },
  ),
};
