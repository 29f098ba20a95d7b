import type { FillAttrs, LinSpaceAttrs, RangeAttrs } from '@tensorflow/tfjs-core';
import { type KernelTable, kernel, UnsupportedError } from './kernel.ts';

/** Kernels whose results are known while tracing. */
export const creationKernels: KernelTable = {
  Fill: kernel<never, FillAttrs>((graph, _, { shape, value, dtype }) => {
    if (typeof value !== 'number')
      throw new UnsupportedError('Text can’t be compiled; fill with numbers.');
    const type = dtype === 'int32' || dtype === 'bool' ? dtype : 'float32';
    return graph.splat(type === 'float32' ? Math.fround(value) : value, type, shape);
  }),

  ZerosLike: kernel<'x'>((graph, { x }) => graph.splat(0, x.dtype, x.shape)),

  OnesLike: kernel<'x'>((graph, { x }) => graph.splat(1, x.dtype, x.shape)),

  Range: kernel<never, RangeAttrs>((graph, _, { start, stop, step, dtype }) => {
    const length = Math.max(0, Math.ceil((stop - start) / step));
    const numbers = Array.from({ length }, (_, i) => start + i * step);
    const data = dtype === 'int32' ? Int32Array.from(numbers) : Float32Array.from(numbers);
    return graph.constant(data, dtype === 'int32' ? 'int32' : 'float32', [length]);
  }),

  LinSpace: kernel<never, LinSpaceAttrs>((graph, _, { start, stop, num }) => {
    const step = num > 1 ? (stop - start) / (num - 1) : 0;
    const data = Float32Array.from({ length: num }, (_, i) => start + i * step);
    return graph.constant(data, 'float32', [num]);
  }),
};
