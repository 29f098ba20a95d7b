import type { _FusedMatMulAttrs, BatchMatMulAttrs, EinsumAttrs } from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import { broadcastShapes, type GraphBuilder } from '../graph-builder.ts';
import { sizeOf } from '../tensor-spec.ts';
import { activate } from './activation.ts';
import { type KernelTable, kernel, listKernel } from './kernel.ts';

/**
 * `[…, rows, inner] · […, inner, columns]`; the leading dimensions broadcast.
 * @throws RangeError where the inner sizes differ.
 */
function matMul(
  graph: GraphBuilder,
  a: Value,
  b: Value,
  transposeA: boolean,
  transposeB: boolean,
): Value {
  const innerA = a.shape.at(transposeA ? -2 : -1)!;
  const innerB = b.shape.at(transposeB ? -1 : -2)!;
  if (innerA !== innerB) {
    throw new RangeError(
      `the inner sizes of [${a.shape}] and [${b.shape}] are ${innerA} and ${innerB}.`,
    );
  }
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  // The engine has products of whole numbers as well, but only in their plain form.
  if (sizeOf(batch) === 1 && a.dtype === 'float32') {
    const [left, right] = [a, b].map((x) => graph.reshape(x, x.shape.slice(-2))) as [Value, Value];
    const product = graph.gemm(left, right, transposeA, transposeB);
    return graph.reshape(product, [...batch, ...product.shape]);
  }
  const left = transposeA ? swapLastTwo(graph, a) : a;
  const right = transposeB ? swapLastTwo(graph, b) : b;
  const shape = [...batch, left.shape.at(-2)!, right.shape.at(-1)!];
  return graph.add('MatMul', [left, right], { shape, dtype: a.dtype });
}

function swapLastTwo(graph: GraphBuilder, x: Value): Value {
  const axes = x.shape.map((_, axis) => axis);
  return graph.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

export const matrixKernels: KernelTable = {
  BatchMatMul: kernel<'a' | 'b', BatchMatMulAttrs>((graph, { a, b }, attributes) =>
    matMul(graph, a, b, attributes.transposeA, attributes.transposeB),
  ),

  /** `tf.fused.matMul`, which the dense layers of tfjs use. */
  _FusedMatMul: kernel<'a' | 'b' | 'bias' | 'preluActivationWeights', _FusedMatMulAttrs>(
    (graph, { a, b, bias, preluActivationWeights }, attributes) => {
      const product = matMul(graph, a, b, attributes.transposeA, attributes.transposeB);
      const sum = bias === undefined ? product : graph.binary('Add', product, bias);
      return activate(graph, sum, attributes, preluActivationWeights);
    },
  ),

  Einsum: listKernel<EinsumAttrs>((graph, inputs, { equation }) => {
    const [operands, result] = equation.replaceAll(' ', '').split('->') as [string, string];
    const sizes = new Map<string, number>();
    for (const [index, labels] of operands.split(',').entries()) {
      for (const [axis, label] of [...labels].entries()) {
        sizes.set(label, inputs[index]!.shape[axis]!);
      }
    }
    const shape = [...result].map((label) => sizes.get(label)!);
    return graph.add('Einsum', inputs, { shape, dtype: 'float32' }, { equation });
  }),
};
