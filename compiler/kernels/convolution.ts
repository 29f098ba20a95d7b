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
import { channelsFirst, channelsLast, type Windows, windowsOf } from '../windows.ts';
import { activate } from './activation.ts';
import { type KernelTable, kernel } from './kernel.ts';

type Shape4 = [number, number, number, number];
type Shape5 = [number, number, number, number, number];

/**
 * Convolutions are recorded as operations of their own, on images with channels last and filters
 * [window…, inputs, outputs]; `lowerConvolutions` chooses what computes each.
 */
function convolve(graph: GraphBuilder, x: Value, filter: Value, windows: Windows): Value {
  const shape = [x.shape[0]!, ...windows.outSizes, filter.shape.at(-1)!];
  return graph.add('Convolution', [x, filter], { shape, dtype: x.dtype }, { ...windows });
}

function inputGradient(graph: GraphBuilder, dy: Value, filter: Value, windows: Windows): Value {
  const shape = [dy.shape[0]!, ...windows.inSizes, filter.shape.at(-2)!];
  const operator = 'ConvolutionInputGradient';
  return graph.add(operator, [dy, filter], { shape, dtype: dy.dtype }, { ...windows });
}

function filterGradient(graph: GraphBuilder, x: Value, dy: Value, windows: Windows): Value {
  const shape = [...windows.sizes, x.shape.at(-1)!, dy.shape.at(-1)!];
  const operator = 'ConvolutionFilterGradient';
  return graph.add(operator, [x, dy], { shape, dtype: x.dtype }, { ...windows });
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
      return withFormat(graph, dataFormat, [dy], (gradient) =>
        inputGradient(graph, gradient, filter, windows),
      );
    },
  ),

  Conv2DBackpropFilter: kernel<'x' | 'dy', Conv2DBackpropFilterAttrs>(
    (graph, { x, dy }, attributes) => {
      const { filterShape, dataFormat } = attributes;
      const windows = conv2dWindows(x.shape, filterShape, attributes);
      const [images, gradients] =
        dataFormat === 'NCHW' ? [channelsLast(graph, x), channelsLast(graph, dy)] : [x, dy];
      return filterGradient(graph, images, gradients, windows);
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
      return inputGradient(graph, dy, filter, windows);
    },
  ),

  Conv3DBackpropFilterV2: kernel<'x' | 'dy', Conv3DBackpropFilterV2Attrs>(
    (graph, { x, dy }, attributes) => {
      const { filterShape } = attributes;
      return filterGradient(graph, x, dy, conv3dWindows(x.shape, filterShape, attributes));
    },
  ),
};
