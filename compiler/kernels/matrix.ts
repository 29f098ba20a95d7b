import type { _FusedMatMulAttrs, BatchMatMulAttrs } from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import { broadcastShapes, type GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import { type KernelTable, kernel } from './kernel.ts';

/** `[…, rows, inner] · […, inner, columns]`; the leading dimensions broadcast. */
function matMul(
  graph: GraphBuilder,
  a: Value,
  b: Value,
  transposeA: boolean,
  transposeB: boolean,
): Value {
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (sizeOf(batch) === 1) {
    const [left, right] = [a, b].map((x) => graph.reshape(x, x.shape.slice(-2))) as [Value, Value];
    const product = graph.gemm(left, right, transposeA, transposeB);
    return graph.reshape(product, [...batch, ...product.shape]);
  }
  const left = transposeA ? swapLastTwo(graph, a) : a;
  const right = transposeB ? swapLastTwo(graph, b) : b;
  const shape = [...batch, left.shape.at(-2)!, right.shape.at(-1)!];
  return graph.add('MatMul', [left, right], { shape, dtype: 'float32' });
}

function swapLastTwo(graph: GraphBuilder, x: Value): Value {
  const axes = x.shape.map((_, axis) => axis);
  return graph.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

export const matrixKernels: KernelTable = {
  BatchMatMul: kernel<'a' | 'b', BatchMatMulAttrs>((graph, { a, b }, attributes) =>
    matMul(graph, a, b, attributes.transposeA, attributes.transposeB),
  ),

  /** `tf.fused.matMul`, which tfjs layers use; activations with weights of their own aren't covered. */
  _FusedMatMul: kernel<'a' | 'b' | 'bias', _FusedMatMulAttrs>(
    (graph, { a, b, bias }, attributes) => {
      const product = matMul(graph, a, b, attributes.transposeA, attributes.transposeB);
      const sum = bias === undefined ? product : graph.binary('Add', product, bias);
      const { activation } = attributes;
      switch (activation) {
        case undefined:
        case null:
        case 'linear':
          return sum;
        case 'relu':
          return graph.binary('Max', sum, graph.splat(0, 'float32'));
        case 'relu6':
          return graph.binary(
            'Min',
            graph.binary('Max', sum, graph.splat(0, 'float32')),
            graph.splat(6, 'float32'),
          );
        case 'sigmoid':
          return graph.unary('Sigmoid', sum);
        case 'elu':
          return graph.unary('Elu', sum);
        case 'leakyrelu':
          return graph.unary('LeakyRelu', sum, { alpha: attributes.leakyreluAlpha ?? 0.2 });
        default:
          throw new TypeError(
            `A fused product with activation '${activation}' can't be compiled; ` +
              'call the activation as an operation of its own.',
          );
      }
    },
  ),
};
