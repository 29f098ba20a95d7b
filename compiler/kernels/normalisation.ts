import type { FusedBatchNormAttrs, LRNAttrs } from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { type KernelTable, kernel } from './kernel.ts';

/** `bias + alpha · Σ x²` over the `depthRadius` channels to each side. */
function localSquares(graph: GraphBuilder, x: Value, attributes: LRNAttrs): Value {
  const { depthRadius, bias, alpha } = attributes;
  const sums = channelWindowSums(graph, graph.binary('Mul', x, x), depthRadius);
  const scaled = graph.binary('Mul', sums, graph.splat(Math.fround(alpha), 'float32'));
  return graph.binary('Add', scaled, graph.splat(Math.fround(bias), 'float32'));
}

/** For each channel, the sum over the channels at most `radius` away. */
function channelWindowSums(graph: GraphBuilder, x: Value, radius: number): Value {
  const last = x.shape.length - 1;
  const channels = x.shape[last]!;
  const near = Float32Array.from({ length: channels * channels }, (_, index) => {
    const distance = Math.abs(Math.floor(index / channels) - (index % channels));
    return distance <= radius ? 1 : 0;
  });
  const band = graph.constant(near, 'float32', [channels, channels]);
  return graph.add('MatMul', [x, band], x);
}

export const normalisationKernels: KernelTable = {
  /** `(x − mean) / √(variance + ε) · scale + offset`; the statistics are small, so x is read twice. */
  FusedBatchNorm: kernel<'x' | 'scale' | 'offset' | 'mean' | 'variance', FusedBatchNormAttrs>(
    (graph, { x, scale, offset, mean, variance }, { varianceEpsilon }) => {
      const epsilon = graph.splat(Math.fround(varianceEpsilon), 'float32');
      const deviation = graph.unary('Sqrt', graph.binary('Add', variance, epsilon));
      const factor =
        scale === undefined
          ? graph.unary('Reciprocal', deviation)
          : graph.binary('Div', scale, deviation);
      const scaled = graph.binary('Mul', graph.binary('Sub', x, mean), factor);
      return offset === undefined ? scaled : graph.binary('Add', scaled, offset);
    },
  ),

  LRN: kernel<'x', LRNAttrs>((graph, { x }, attributes) => {
    const power = graph.splat(Math.fround(-attributes.beta), 'float32');
    return graph.binary('Mul', x, graph.binary('Pow', localSquares(graph, x, attributes), power));
  }),

  LRNGrad: kernel<'x' | 'y' | 'dy', LRNAttrs>((graph, { x, y, dy }, attributes) => {
    const { depthRadius, alpha, beta } = attributes;
    const squares = localSquares(graph, x, attributes);
    const power = graph.splat(Math.fround(-beta), 'float32');
    const direct = graph.binary('Mul', dy, graph.binary('Pow', squares, power));
    const shares = graph.binary('Div', graph.binary('Mul', dy, y), squares);
    const others = graph.binary('Mul', channelWindowSums(graph, shares, depthRadius), x);
    const factor = graph.splat(Math.fround(-2 * alpha * beta), 'float32');
    return graph.binary('Add', direct, graph.binary('Mul', others, factor));
  }),
};
