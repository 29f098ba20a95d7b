import type { Graph, GraphNode, Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import {
  backwardWindows,
  slide,
  slideBack,
  turnAround,
  type Windows,
  windowLast,
} from '../windows.ts';
import {
  blockedConvolution,
  blockedInputGradient,
  fewChannelConvolution,
  suitsBlocks,
  suitsFewChannels,
} from './blocked-convolutions.ts';
import {
  productFilterGradient,
  productInputGradient,
  seenByChannels,
  seenThrough,
} from './convolution-products.ts';
import { maxPoolGradientByIndex, maxPoolGradientByPlace } from './max-pool-gradient.ts';
import {
  minimalConvolution,
  minimalFilterGradient,
  minimalInputGradient,
  suitsMinimalFiltering,
} from './minimal-filtering.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/** Places in an image of the result up to which one product of all images beats one for each. */
const PRODUCT_PLACES_MAX = 64;
/** The same where the product's result has to be added up in places: it is as large as the window. */
const SPREAD_PLACES_MAX = 16;

/** Channels of a product for each place of the window; with fewer, one for all places is faster. */
const PLACE_CHANNELS_MIN = 32;

/** A processor on which the native engine runs a graph. */
export interface Processor {
  /** Channels that the engine's blocked convolutions keep together; 1 where it has none. */
  readonly channelBlock: number;
}

/** What runs a graph: a processor, whose own ways are known here, or any device. */
export type Target = 'any' | Processor;

/**
 * Puts operators of the engine in the place of `Convolution`, `ConvolutionInputGradient` and
 * `ConvolutionFilterGradient`, and of `MaxPoolGradient`. `any` engine has its own ways to do a convolution; the processor's
 * is good for large images, and products are better for small ones.
 */
export function lowerConvolutions(graph: Graph, target: Target): Graph {
  return rewriteGraph(graph, (node, builder) => {
    const lower = LOWERINGS[node.operator];
    return lower && [lower(builder, node, target)];
  });
}

type Lowering = (graph: GraphBuilder, node: GraphNode, target: Target) => Value;

const LOWERINGS: Readonly<Record<string, Lowering>> = {
  Convolution: (graph, node, target) => {
    const [x, filter] = node.inputs as [Value, Value];
    const windows = windowsOf(node);
    if (target !== 'any' && suitsMinimalFiltering(node, filter)) {
      return minimalConvolution(graph, x, filter, windows);
    }
    if (isSingle(windows) || isSmall(windows, target, PRODUCT_PLACES_MAX)) {
      const product = graph.gemm(seenThrough(graph, x, windows), filterMatrix(graph, filter));
      return graph.reshape(product, node.outputs[0]!.shape);
    }
    if (target !== 'any' && suitsBlocks(filter, windows, target.channelBlock)) {
      return blockedConvolution(graph, x, filter, windows, target.channelBlock);
    }
    if (target !== 'any' && suitsFewChannels(filter, windows, target.channelBlock)) {
      return fewChannelConvolution(graph, x, filter, windows, target.channelBlock);
    }
    return slide(graph, x, outputsFirst(graph, filter, windows), windows);
  },

  /**
   * With strides of 1 it is a convolution with the window turned around, which the engine does
   * faster than a transposed one.
   */
  ConvolutionInputGradient: (graph, node, target) => {
    const [dy, filter] = node.inputs as [Value, Value];
    const windows = windowsOf(node);
    if (target !== 'any' && suitsMinimalFiltering(node, filter)) {
      return minimalInputGradient(graph, dy, filter, windows);
    }
    if (isSingle(windows) || isSmall(windows, target, SPREAD_PLACES_MAX)) {
      return productInputGradient(graph, dy, filterMatrix(graph, filter), windows);
    }
    const backward = backwardWindows(windows);
    const isSpatial = windows.sizes.length === 3 && windows.dilations.every((each) => each === 1);
    if (backward === undefined && isSpatial && target === 'any') {
      // Devices have transposed convolutions of two axes at most.
      return productInputGradient(graph, dy, filterMatrix(graph, filter), windows);
    }
    if (backward === undefined) {
      return slideBack(graph, dy, outputsFirst(graph, filter, windows), windows);
    }
    if (target !== 'any' && suitsBlocks(filter, backward, target.channelBlock)) {
      return blockedInputGradient(graph, dy, filter, backward, target.channelBlock);
    }
    const turned = windowLast(graph, turnAround(graph, filter, windows), windows);
    return slide(graph, dy, turned, backward);
  },

  /**
   * What each place of the window saw, times the gradient of what came of it, as products.
   * Measured on 3×3 windows and from 128 channels on they take half as long as a convolution whose
   * window is as large as an image, which is how textbooks have it. With channels outermost they
   * are a third faster again: the engine is slow with a transposed left operand.
   */
  ConvolutionFilterGradient: (graph, node, target) => {
    const [x, dy] = node.inputs as [Value, Value];
    const [filter] = node.outputs as [Value];
    const windows = windowsOf(node);
    if (target !== 'any' && suitsMinimalFiltering(node, filter)) {
      return minimalFilterGradient(graph, x, dy, windows);
    }
    const rows = graph.reshape(dy, [sizeOf(dy.shape.slice(0, -1)), dy.shape.at(-1)!]);
    // Small images have been laid out for the convolution already.
    const isLaidOut = isSingle(windows) || isSmall(windows, target, PRODUCT_PLACES_MAX);
    const product = isLaidOut
      ? graph.gemm(seenThrough(graph, x, windows), rows, true, false)
      : target !== 'any' && x.shape.at(-1)! >= PLACE_CHANNELS_MIN
        ? productFilterGradient(graph, x, dy, windows)
        : graph.gemm(seenByChannels(graph, x, windows), rows);
    return graph.reshape(product, filter.shape);
  },

  MaxPoolGradient: (graph, node, target) => {
    const [dy, x] = node.inputs as [Value, Value];
    const gradient = target === 'any' ? maxPoolGradientByPlace : maxPoolGradientByIndex;
    return gradient(graph, dy, x, windowsOf(node));
  },
};

function windowsOf(node: GraphNode): Windows {
  return node.attributes as unknown as Windows;
}

/** A window of one element, and no padding: what is read is multiplied as it is. */
function isSingle({ sizes, before, after }: Windows): boolean {
  const padded = [...before, ...after].some((pad) => pad > 0);
  return !padded && sizes.every((size) => size === 1);
}

function isSmall(windows: Windows, target: Target, placesMax: number): boolean {
  const { outSizes, dilations } = windows;
  if (target === 'any' || dilations.some((dilation) => dilation > 1)) return false;
  return sizeOf(outSizes) <= placesMax;
}

function filterMatrix(graph: GraphBuilder, filter: Value): Value {
  return graph.reshape(filter, [sizeOf(filter.shape.slice(0, -1)), filter.shape.at(-1)!]);
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
