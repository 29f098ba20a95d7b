import type { CastAttrs, ClipByValueAttrs, LeakyReluAttrs, StepAttrs } from '@tensorflow/tfjs-core';
import type { Value } from '../graph.ts';
import { broadcastShapes, type GraphBuilder, isScalar } from '../graph-builder.ts';
import { sameShape } from '../tensor-spec.ts';
import { prelu } from './activation.ts';
import {
  type Kernel,
  type KernelTable,
  kernel,
  listKernel,
  numeric,
  UnsupportedError,
} from './kernel.ts';

/** Operators with one operand whose meaning is the same in tfjs and ONNX, for float32. */
const FLOAT_OPERATORS = {
  Acos: 'Acos',
  Acosh: 'Acosh',
  Asin: 'Asin',
  Asinh: 'Asinh',
  Atan: 'Atan',
  Atanh: 'Atanh',
  Ceil: 'Ceil',
  Cos: 'Cos',
  Cosh: 'Cosh',
  Elu: 'Elu',
  Erf: 'Erf',
  Exp: 'Exp',
  Floor: 'Floor',
  Log: 'Log',
  Reciprocal: 'Reciprocal',
  Round: 'Round',
  Selu: 'Selu',
  Sigmoid: 'Sigmoid',
  Sin: 'Sin',
  Sinh: 'Sinh',
  Softplus: 'Softplus',
  Sqrt: 'Sqrt',
  Tan: 'Tan',
  Tanh: 'Tanh',
} as const;

const ARITHMETIC_OPERATORS = {
  Add: 'Add',
  Sub: 'Sub',
  Multiply: 'Mul',
  Maximum: 'Max',
  Minimum: 'Min',
} as const;

const COMPARISON_OPERATORS = {
  Greater: 'Greater',
  GreaterEqual: 'GreaterOrEqual',
  Less: 'Less',
  LessEqual: 'LessOrEqual',
} as const;

const LOGICAL_OPERATORS = { LogicalAnd: 'And', LogicalOr: 'Or' } as const;

function mapTable(
  operators: Readonly<Record<string, string>>,
  make: (operator: string) => Kernel,
): KernelTable {
  return Object.fromEntries(
    Object.entries(operators).map(([name, operator]) => [name, make(operator)]),
  );
}

/** At least `low` and at most `high`. */
function bounded(graph: GraphBuilder, x: Value, low: number, high?: number): Value {
  const number = numeric(graph, x);
  const raised = graph.binary('Max', number, graph.splat(low, number.dtype));
  const result =
    high === undefined ? raised : graph.binary('Min', raised, graph.splat(high, number.dtype));
  return graph.cast(result, x.dtype);
}

const arithmetic = (operator: string): Kernel =>
  kernel<'a' | 'b'>((graph, { a, b }) => {
    const result = graph.binary(operator, numeric(graph, a), numeric(graph, b));
    return graph.cast(result, a.dtype);
  });

const comparison = (operator: string): Kernel =>
  kernel<'a' | 'b'>((graph, { a, b }) =>
    graph.binary(operator, numeric(graph, a), numeric(graph, b), 'bool'),
  );

const logical = (operator: string): Kernel =>
  kernel<'a' | 'b'>((graph, { a, b }) =>
    graph.binary(operator, graph.cast(a, 'bool'), graph.cast(b, 'bool'), 'bool'),
  );

const float = (operator: string): Kernel =>
  kernel<'x'>((graph, { x }) => {
    // Rounding leaves whole numbers as they are, and ONNX rounds floats only.
    if (x.dtype !== 'float32' && ['Ceil', 'Floor', 'Round'].includes(operator)) return x;
    return graph.unary(operator, graph.cast(x, 'float32'));
  });

/** What a division of whole numbers gives: 0 where the divisor is 0, as in tfjs, where ONNX fails. */
function unlessZero(graph: GraphBuilder, divisor: Value, divide: (divisor: Value) => Value): Value {
  const { constant } = divisor;
  if (constant !== undefined) {
    const elements = 'data' in constant ? Array.from(constant.data) : [constant.splat];
    if (!elements.includes(0)) return divide(divisor);
  }
  const zero = graph.splat(0, divisor.dtype);
  const isZero = graph.binary('Equal', divisor, zero, 'bool');
  const divided = divide(
    graph.add('Where', [isZero, graph.splat(1, divisor.dtype), divisor], divisor),
  );
  return graph.add('Where', [isZero, zero, divided], divided);
}

export const elementwiseKernels: KernelTable = {
  ...mapTable(FLOAT_OPERATORS, float),
  ...mapTable(ARITHMETIC_OPERATORS, arithmetic),
  ...mapTable(COMPARISON_OPERATORS, comparison),
  ...mapTable(LOGICAL_OPERATORS, logical),

  AddN: listKernel((graph, inputs) => inputs.reduce((sum, x) => graph.binary('Add', sum, x))),

  Equal: kernel<'a' | 'b'>((graph, { a, b }) => graph.binary('Equal', a, b, 'bool')),

  NotEqual: kernel<'a' | 'b'>((graph, { a, b }) =>
    graph.unary('Not', graph.binary('Equal', a, b, 'bool')),
  ),

  LogicalNot: kernel<'x'>((graph, { x }) => graph.unary('Not', graph.cast(x, 'bool'))),

  RealDiv: kernel<'a' | 'b'>((graph, { a, b }) =>
    graph.binary('Div', graph.cast(a, 'float32'), graph.cast(b, 'float32')),
  ),

  /**
   * Whole numbers, as tfjs has it. ONNX divides them towards zero; taking the (floored) remainder
   * off first is exact.
   */
  FloorDiv: kernel<'a' | 'b'>((graph, { a, b }) => {
    if (a.dtype === 'float32') {
      return graph.cast(graph.unary('Floor', graph.binary('Div', a, b)), 'int32');
    }
    const [dividend, divisor] = [numeric(graph, a), numeric(graph, b)];
    return unlessZero(graph, divisor, (by) => {
      const remainder = graph.binary('Mod', dividend, by);
      return graph.binary('Div', graph.binary('Sub', dividend, remainder), by);
    });
  }),

  /** The result has the divisor's sign. */
  Mod: kernel<'a' | 'b'>((graph, { a, b }) => {
    if (a.dtype !== 'float32') {
      return unlessZero(graph, numeric(graph, b), (by) =>
        graph.binary('Mod', numeric(graph, a), by),
      );
    }
    const remainder = (x: Value) => graph.binary('Mod', x, b, x.dtype, { fmod: 1 });
    return remainder(graph.binary('Add', remainder(a), b));
  }),

  /**
   * The angle of the point (b, a): that of a / b, half a turn further where b is negative. Zeros have no sign here.
   */
  Atan2: kernel<'a' | 'b'>((graph, { a, b }) => {
    const zero = graph.splat(0, 'float32');
    const isUpright = graph.binary('Equal', b, zero, 'bool');
    const divisor = graph.add('Where', [isUpright, zero, b], b);
    const angle = graph.unary('Atan', graph.binary('Div', a, divisor));
    const halfTurn = graph.add(
      'Where',
      [
        graph.binary('Less', a, zero, 'bool'),
        graph.splat(-Math.PI, 'float32'),
        graph.splat(Math.PI, 'float32'),
      ],
      { shape: a.shape, dtype: 'float32' },
    );
    const turned = graph.binary('Add', angle, halfTurn);
    const isLeft = graph.binary('Less', b, zero, 'bool');
    const result = graph.add('Where', [isLeft, turned, angle], angle);
    const isFlat = graph.binary('Equal', a, zero, 'bool');
    const isOrigin = graph.binary('And', isFlat, isUpright, 'bool');
    return graph.add('Where', [isOrigin, zero, result], result);
  }),

  BitwiseAnd: kernel<'a' | 'b'>((graph, { a, b }) => graph.binary('BitwiseAnd', a, b)),

  /** The engine on WebGPU fails where both operands are stretched. */
  Pow: kernel<'a' | 'b'>((graph, { a, b }) => {
    const shape = broadcastShapes(a.shape, b.shape);
    const stretched = sameShape(b.shape, shape) ? a : graph.expand(a, shape);
    return graph.binary('Pow', isScalar(b) ? a : stretched, b);
  }),

  SquaredDifference: kernel<'a' | 'b'>((graph, { a, b }) => {
    const difference = graph.binary('Sub', a, b);
    return graph.binary('Mul', difference, difference);
  }),

  Abs: kernel<'x'>((graph, { x }) => graph.cast(graph.unary('Abs', numeric(graph, x)), x.dtype)),

  Neg: kernel<'x'>((graph, { x }) => graph.cast(graph.unary('Neg', numeric(graph, x)), x.dtype)),

  Sign: kernel<'x'>((graph, { x }) => graph.cast(graph.unary('Sign', numeric(graph, x)), x.dtype)),

  Square: kernel<'x'>((graph, { x }) => {
    const number = numeric(graph, x);
    return graph.cast(graph.binary('Mul', number, number), x.dtype);
  }),

  Rsqrt: kernel<'x'>((graph, { x }) =>
    graph.unary('Reciprocal', graph.unary('Sqrt', graph.cast(x, 'float32'))),
  ),

  /** `2·tanh(x/2) / (1 − tanh(x/2))` keeps the digits of small x that `exp(x) − 1` drops. */
  Expm1: kernel<'x'>((graph, { x }) => {
    const one = graph.splat(1, 'float32');
    const half = graph.unary('Tanh', graph.binary('Mul', x, graph.splat(0.5, 'float32')));
    const small = graph.binary(
      'Div',
      graph.binary('Add', half, half),
      graph.binary('Sub', one, half),
    );
    const large = graph.binary('Sub', graph.unary('Exp', x), one);
    const isSmall = graph.binary(
      'Less',
      graph.unary('Abs', x),
      graph.splat(0.5, 'float32'),
      'bool',
    );
    return graph.add('Where', [isSmall, small, large], x);
  }),

  /** `log(u)·x / (u − 1)` with `u = 1 + x`: the rounding of u cancels out. */
  Log1p: kernel<'x'>((graph, { x }) => {
    const one = graph.splat(1, 'float32');
    const u = graph.binary('Add', x, one);
    const log = graph.unary('Log', u);
    const corrected = graph.binary('Mul', log, graph.binary('Div', x, graph.binary('Sub', u, one)));
    const small = graph.binary('Less', graph.unary('Abs', x), graph.splat(0.5, 'float32'), 'bool');
    const unchanged = graph.binary('Equal', u, one, 'bool');
    const careful = graph.add('Where', [unchanged, x, corrected], x);
    return graph.add('Where', [small, careful, log], x);
  }),

  Relu: kernel<'x'>((graph, { x }) => bounded(graph, x, 0)),

  Relu6: kernel<'x'>((graph, { x }) => bounded(graph, x, 0, 6)),

  LeakyRelu: kernel<'x', LeakyReluAttrs>((graph, { x }, { alpha }) =>
    graph.unary('LeakyRelu', graph.cast(x, 'float32'), { alpha }),
  ),

  Prelu: kernel<'x' | 'alpha'>((graph, { x, alpha }) => prelu(graph, x, alpha)),

  /** The gradient of elu from its result y: 1 where y is positive, else y + 1. */
  EluGrad: kernel<'dy' | 'y'>((graph, { dy, y }) => {
    const slope = graph.binary('Add', y, graph.splat(1, 'float32'));
    const scaled = graph.binary('Mul', dy, slope);
    const negative = graph.binary('Less', y, graph.splat(0, 'float32'), 'bool');
    return graph.add('Where', [negative, scaled, dy], scaled);
  }),

  /** 1 for positive x, `alpha` for the others, NaN for NaN. */
  Step: kernel<'x', StepAttrs>((graph, { x }, { alpha }) => {
    const positive = graph.binary('Greater', x, graph.splat(0, x.dtype), 'bool');
    const branches = [graph.splat(1, x.dtype), graph.splat(alpha ?? 0, x.dtype)];
    const step = graph.add('Where', [positive, ...branches], x);
    if (x.dtype !== 'float32') return step;
    return graph.add('Where', [graph.add('IsNaN', [x], { ...x, dtype: 'bool' }), x, step], x);
  }),

  ClipByValue: kernel<'x', ClipByValueAttrs>((graph, { x }, { clipValueMin, clipValueMax }) =>
    bounded(graph, x, clipValueMin, clipValueMax),
  ),

  Select: kernel<'condition' | 't' | 'e'>((graph, { condition, t, e }) => {
    // tfjs lets a condition over rows choose whole rows.
    const aligned =
      condition.shape.length === 1 && t.shape.length > 1
        ? graph.reshape(condition, [condition.shape[0]!, ...t.shape.slice(1).fill(1)])
        : condition;
    const inputs = [graph.cast(aligned, 'bool'), numeric(graph, t), numeric(graph, e)];
    const dtype = inputs[1]!.dtype;
    return graph.cast(graph.add('Where', inputs, { shape: t.shape, dtype }), t.dtype);
  }),

  Cast: kernel<'x', CastAttrs>((graph, { x }, { dtype }) => {
    if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') {
      throw new UnsupportedError(
        `Casting to ${dtype} can't be compiled; use float32, int32 or bool.`,
      );
    }
    return graph.cast(x, dtype);
  }),

  Identity: kernel<'x'>((_, { x }) => x),

  IsNan: kernel<'x'>((graph, { x }) =>
    graph.add('IsNaN', [graph.cast(x, 'float32')], { shape: x.shape, dtype: 'bool' }),
  ),

  IsInf: kernel<'x'>((graph, { x }) =>
    graph.add('IsInf', [graph.cast(x, 'float32')], { shape: x.shape, dtype: 'bool' }),
  ),

  /** Only a finite number minus itself is 0. */
  IsFinite: kernel<'x'>((graph, { x }) => {
    const number = graph.cast(x, 'float32');
    const difference = graph.binary('Sub', number, number);
    return graph.binary('Equal', difference, graph.splat(0, 'float32'), 'bool');
  }),
};
