import type {
  ArgMaxAttrs,
  CumprodAttrs,
  CumsumAttrs,
  MaxAttrs,
  SoftmaxAttrs,
  SumAttrs,
  TopKAttrs,
} from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import { type Kernel, type KernelTable, kernel, numeric, resolveAxes } from './kernel.ts';

/** `Max` alone calls its axes differently. */
type ReductionAttributes = SumAttrs & Partial<MaxAttrs>;

const reduction = (operator: string): Kernel =>
  kernel<'x', ReductionAttributes>((graph, { x }, { axis, reductionIndices, keepDims }) => {
    const axes = resolveAxes(axis ?? reductionIndices, x.shape.length);
    const input = numeric(graph, x);
    return graph.reduce(operator, input, axes, keepDims);
  });

/** Of bools too, whose largest is one of them. */
const extremum = (operator: string): Kernel => {
  const reduce = reduction(operator);
  return (graph, inputs, attributes) =>
    graph.cast(reduce(graph, inputs, attributes) as Value, inputs.x!.dtype);
};

/** ONNX reduces no bools: the largest of 0 and 1 is "any", the smallest "all". */
const logicalReduction = (operator: string): Kernel =>
  kernel<'x', SumAttrs>((graph, { x }, { axis, keepDims }) => {
    const axes = resolveAxes(axis, x.shape.length);
    return graph.cast(graph.reduce(operator, graph.cast(x, 'int32'), axes, keepDims), 'bool');
  });

/** The first of equal elements, as tfjs picks it. */
const extremumIndex = (operator: string): Kernel =>
  kernel<'x', ArgMaxAttrs>((graph, { x }, attributes) => {
    const [axis = 0] = resolveAxes(attributes.axis, x.shape.length);
    const shape = x.shape.toSpliced(axis, 1);
    // ONNX refuses to look for one among none.
    if (x.shape[axis] === 0) return graph.splat(0, 'int32', shape);
    const input = numeric(graph, x);
    const output = { shape, dtype: 'int64' } as const;
    return graph.cast(graph.add(operator, [input], output, { axis, keepdims: 0 }), 'int32');
  });

export const reductionKernels: KernelTable = {
  Sum: reduction('ReduceSum'),
  Max: extremum('ReduceMax'),
  Min: extremum('ReduceMin'),
  Prod: reduction('ReduceProd'),
  Any: logicalReduction('ReduceMax'),
  All: logicalReduction('ReduceMin'),
  ArgMax: extremumIndex('ArgMax'),
  ArgMin: extremumIndex('ArgMin'),

  Mean: kernel<'x', SumAttrs>((graph, { x }, { axis, keepDims }) =>
    graph.reduce(
      'ReduceMean',
      graph.cast(x, 'float32'),
      resolveAxes(axis, x.shape.length),
      keepDims,
    ),
  ),

  Softmax: kernel<'logits', SoftmaxAttrs>((graph, { logits }, { dim }) =>
    graph.unary('Softmax', graph.cast(logits, 'float32'), {
      axis: resolveAxes(dim, logits.shape.length)[0]!,
    }),
  ),

  TopK: kernel<'x', TopKAttrs>((graph, { x }, { k, sorted }) => {
    const shape = x.shape.with(-1, k);
    const input = numeric(graph, x);
    const outputs = [
      { shape, dtype: input.dtype },
      { shape, dtype: 'int64' },
    ] as const;
    const attributes = { k: [k], axis: x.shape.length - 1, sorted: sorted ? 1 : 0 };
    const [values, indices] = graph.addMany('TopK', [input], outputs, attributes);
    return [graph.cast(values!, x.dtype), graph.cast(indices!, 'int32')];
  }),

  /** ONNX has none: each round multiplies by what is a power of two further back. */
  Cumprod: kernel<'x', CumprodAttrs>((graph, inputs, { axis: given, exclusive, reverse }) => {
    const x = numeric(graph, inputs.x);
    const [axis = 0] = resolveAxes(given, x.shape.length);
    const size = x.shape[axis]!;
    const zeros = x.shape.map(() => 0);
    /** What is `steps` places before each element, 1 where there is nothing. */
    const back = (y: Value, steps: number): Value => {
      const padded = graph.pad(y, zeros.with(axis, steps), zeros, 1);
      const range = { axes: [axis], starts: [0], ends: [size], steps: [1] };
      return graph.add('Slice', [padded], x, range);
    };
    let product = reverse ? graph.reverse(x, [axis]) : x;
    if (exclusive) product = back(product, 1);
    for (let steps = 1; steps < size; steps *= 2) {
      product = graph.binary('Mul', product, back(product, steps));
    }
    return reverse ? graph.reverse(product, [axis]) : product;
  }),

  Cumsum: kernel<'x', CumsumAttrs>((graph, { x }, { axis, exclusive, reverse }) =>
    graph.unary('CumSum', numeric(graph, x), {
      axis: resolveAxes(axis, x.shape.length)[0]!,
      exclusive: exclusive ? 1 : 0,
      reverse: reverse ? 1 : 0,
    }),
  ),
};
