import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { compileStep, createState, type TensorData } from '../../compiler/index.ts';
import { sizeOf } from '../../compiler/tensor-spec.ts';

import { traceKernels } from '../../compiler/trace-backend.ts';
import { traceStep } from '../../compiler/trace-step.ts';
import { largestDifference, someNumbers } from './graphs.ts';

type Inputs = readonly (readonly number[])[];
type Build = (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

interface Case {
  readonly title: string;
  readonly shapes: Inputs;
  readonly build: Build;
  /** Maps the numbers in [−1, 1) that inputs are made of. */
  readonly range?: (x: number) => number;
}

const TOLERANCE = 2e-6;

const positive = (x: number) => Math.abs(x) + 0.1;
const wide = (x: number) => x * 6;
const whole = (x: number) => Math.round(x * 5);
/** Halves: what rounding decides in different ways. */
const halves = (x: number) => Math.round(x * 10) / 2;

const anyShape: Inputs[] = [[[3, 4]], [[1]], [[]], [[2, 1, 3]], [[0, 3]]];
const broadcasting: Inputs[] = [
  [
    [3, 4],
    [3, 4],
  ],
  [[3, 4], [4]],
  [
    [3, 1],
    [1, 4],
  ],
  [[2, 3, 4], []],
  [[1], [2, 1, 3]],
  [[0, 3], [3]],
];

function over(
  name: string,
  shapes: readonly Inputs[],
  build: Build,
  range?: (x: number) => number,
): Case[] {
  return shapes.map((each) => ({
    title: `${name} of ${each.map((shape) => `[${shape}]`).join(', ')}`,
    shapes: each,
    build,
    ...(range ? { range } : {}),
  }));
}

const int = (x: tf.Tensor) => tf.cast(x, 'int32');
const bool = (x: tf.Tensor) => tf.greater(x, 0);

const elementwise: Case[] = [
  ...Object.entries({
    abs: tf.abs,
    ceil: tf.ceil,
    cos: tf.cos,
    cosh: tf.cosh,
    elu: tf.elu,
    erf: tf.erf,
    exp: tf.exp,
    expm1: tf.expm1,
    floor: tf.floor,
    neg: tf.neg,
    relu: tf.relu,
    relu6: tf.relu6,
    selu: tf.selu,
    sigmoid: tf.sigmoid,
    sign: tf.sign,
    sin: tf.sin,
    sinh: tf.sinh,
    softplus: tf.softplus,
    square: tf.square,
    step: tf.step,
    tan: tf.tan,
    tanh: tf.tanh,
    leakyRelu: tf.leakyRelu,
  }).flatMap(([name, build]) => over(name, anyShape, (x) => build(x!) as tf.Tensor)),
  ...Object.entries({
    log: tf.log,
    log1p: tf.log1p,
    reciprocal: tf.reciprocal,
    rsqrt: tf.rsqrt,
    sqrt: tf.sqrt,
  }).flatMap(([name, build]) => over(name, anyShape, (x) => build(x!) as tf.Tensor, positive)),
  ...Object.entries({
    acos: tf.acos,
    asin: tf.asin,
    asinh: tf.asinh,
    atan: tf.atan,
    atanh: tf.atanh,
  }).flatMap(([name, build]) =>
    over(
      name,
      [[[3, 4]]],
      (x) => build(x!) as tf.Tensor,
      (x) => x * 0.9,
    ),
  ),
  ...over(
    'acosh',
    [[[5]]],
    (x) => tf.acosh(x!),
    (x) => 2 + x,
  ),
  ...over('round, halves to even', [[[40]]], (x) => tf.round(x!), halves),
  ...over('step with a slope for the others', [[[5]]], (x) => tf.step(x!, 0.25)),
  ...over(
    'expm1 of small numbers',
    [[[50]]],
    (x) => tf.expm1(x!),
    (x) => x * 1e-4,
  ),
  ...over(
    'log1p of small numbers',
    [[[50]]],
    (x) => tf.log1p(x!),
    (x) => x * 1e-4,
  ),
  ...over('clipByValue', [[[3, 4]]], (x) => tf.clipByValue(x!, -0.3, 0.4)),
  ...over('the gradient of elu', [[[3, 4]]], (x) =>
    tf.engine().runKernel('EluGrad', { dy: tf.square(x!), y: tf.elu(x!) }),
  ),
  ...over('prelu', [[[3, 4], [4]]], (x, a) => tf.prelu(x!, a!)),
  ...over('isNaN, isInf, isFinite', [[[6]]], (x) => {
    const special = tf.concat([tf.div(x!, 0), tf.sqrt(tf.neg(tf.square(x!))), x!], 0);
    return [tf.isNaN(special), tf.isInf(special), tf.isFinite(special)];
  }),
  ...over(
    'arithmetic on bools and whole numbers',
    [[[3, 4], [4]]],
    (a, b) => [
      tf.add(int(a!), int(b!)),
      tf.mul(int(a!), int(b!)),
      tf.sum(bool(a!)),
      tf.abs(int(a!)),
      tf.maximum(int(a!), int(b!)),
      tf.relu(int(a!)),
    ],
    whole,
  ),
];

const binary: Case[] = [
  ...Object.entries({
    add: tf.add,
    sub: tf.sub,
    mul: tf.mul,
    maximum: tf.maximum,
    minimum: tf.minimum,
    squaredDifference: tf.squaredDifference,
    greater: tf.greater,
    greaterEqual: tf.greaterEqual,
    less: tf.less,
    lessEqual: tf.lessEqual,
    equal: tf.equal,
    notEqual: tf.notEqual,
  }).flatMap(([name, build]) =>
    over(name, broadcasting, (a, b) => build(a!, b!) as tf.Tensor, halves),
  ),
  ...over('div', broadcasting, (a, b) => tf.div(a!, tf.add(tf.abs(b!), 0.5))),
  ...over('pow', broadcasting, (a, b) => tf.pow(tf.abs(a!), b!)),
  ...over('floorDiv', broadcasting, (a, b) => tf.floorDiv(a!, tf.add(tf.square(b!), 0.75)), wide),
  ...over(
    'floorDiv of whole numbers of any sign',
    [[[60], [60]]],
    (a, b) => tf.floorDiv(int(a!), int(tf.add(tf.mul(tf.sign(b!), 1), b!))),
    wide,
  ),
  ...over('mod', [[[60], [60]]], (a, b) => tf.mod(a!, tf.add(b!, tf.sign(b!))), wide),
  ...over(
    'mod of whole numbers',
    [[[60], [60]]],
    (a, b) => tf.mod(int(a!), int(tf.add(b!, tf.sign(b!)))),
    wide,
  ),
  ...over('logical operations', broadcasting, (a, b) => [
    tf.logicalAnd(bool(a!), bool(b!)),
    tf.logicalOr(bool(a!), bool(b!)),
    tf.logicalXor(bool(a!), bool(b!)),
    tf.logicalNot(bool(a!)),
  ]),
  ...over(
    'addN',
    [
      [
        [3, 4],
        [3, 4],
        [3, 4],
      ],
    ],
    (...inputs) => tf.addN(inputs),
  ),
  ...over(
    'where',
    [
      [
        [3, 4],
        [3, 4],
      ],
      [[4], [3, 4]],
    ],
    (a, b) => tf.where(bool(a!), a!, b!),
  ),
  ...over(
    'where on bools',
    [
      [
        [3, 4],
        [3, 4],
      ],
    ],
    (a, b) => tf.where(bool(a!), bool(b!), bool(a!)),
  ),
];

const reductions: Case[] = [
  ...Object.entries({
    sum: tf.sum,
    mean: tf.mean,
    max: tf.max,
    min: tf.min,
    prod: tf.prod,
  }).flatMap(([name, reduce]) =>
    [undefined, 0, -1, [0, 2], [1, -1]].flatMap((axis) =>
      [true, false].map((keepDims) => ({
        title: `${name} over ${JSON.stringify(axis)}, keepDims ${keepDims}`,
        shapes: [[2, 3, 4]],
        build: (x?: tf.Tensor) => reduce(x!, axis, keepDims) as tf.Tensor,
      })),
    ),
  ),
  ...over('sum and mean of size 1', [[[1, 1]], [[1]]], (x) => [tf.sum(x!), tf.mean(x!, -1)]),
  ...over('sum of a scalar', [[[]]], (x) => tf.sum(x!)),
  ...over('any and all', [[[3, 4]]], (x) => [
    tf.any(bool(x!), 1),
    tf.all(bool(x!), 0, true),
    tf.all(tf.greater(x!, -2)),
  ]),
  ...over('argMax and argMin', [[[5, 7]], [[1, 7]]], (x) => [
    tf.argMax(x!, 0),
    tf.argMax(x!, -1),
    tf.argMin(x!, 1),
  ]),
  ...over('argMax of equal elements', [[[6, 9]]], (x) => tf.argMax(x!, 1), whole),
  ...over('softmax and logSoftmax', [[[3, 7]], [[7]], [[2, 3, 1]]], (x) => [
    tf.softmax(x!),
    tf.logSoftmax(x!),
  ]),
  ...over('topk', [[[3, 9]]], (x) => {
    const { values, indices } = tf.topk(x!, 4);
    return [values, indices];
  }),
  ...over('cumsum', [[[3, 4]]], (x) => [
    tf.cumsum(x!, 0),
    tf.cumsum(x!, 1, true),
    tf.cumsum(x!, 1, false, true),
  ]),
];

const matrices: Case[] = [
  ...[true, false].flatMap((a) =>
    [true, false].flatMap((b) => [
      ...over(`matMul (${a}, ${b})`, [[a ? [4, 3] : [3, 4], b ? [5, 4] : [4, 5]]], (x, y) =>
        tf.matMul(x!, y!, a, b),
      ),
      ...over(
        `batched matMul (${a}, ${b})`,
        [
          [
            [2, ...(a ? [4, 3] : [3, 4])],
            [2, ...(b ? [5, 4] : [4, 5])],
          ],
        ],
        (x, y) => tf.matMul(x!, y!, a, b),
      ),
    ]),
  ),
  ...over(
    'matMul with one batch',
    [
      [
        [1, 3, 4],
        [4, 5],
      ],
    ],
    (x, y) => tf.matMul(x!, y!),
  ),
  ...over(
    'matMul with broadcast batches',
    [
      [
        [5, 3, 4],
        [1, 4, 2],
      ],
    ],
    (x, y) => tf.matMul(x!, y!),
  ),
  ...(['relu', 'sigmoid', 'linear', 'relu6', 'elu'] as const).flatMap((activation) =>
    over(`fused matMul with ${activation}`, [[[3, 4], [4, 5], [5]]], (a, b, bias) =>
      tf.fused.matMul({ a: a as tf.Tensor2D, b: b as tf.Tensor2D, bias: bias!, activation }),
    ),
  ),
];

const layout: Case[] = [
  ...over('reshape', [[[3, 4]]], (x) => [tf.reshape(x!, [2, -1]), tf.reshape(x!, [12])]),
  ...over('expandDims and squeeze', [[[3, 1, 4]]], (x) => [
    tf.expandDims(x!, -1),
    tf.expandDims(x!, 1),
    tf.squeeze(x!),
  ]),
  ...over('transpose', [[[2, 3, 4]]], (x) => [tf.transpose(x!), tf.transpose(x!, [1, 0, 2])]),
  ...over(
    'concat',
    [
      [
        [2, 3],
        [4, 3],
      ],
      [
        [0, 3],
        [2, 3],
      ],
    ],
    (a, b) => tf.concat([a!, b!], 0),
  ),
  ...over(
    'concat of bools, last axis',
    [
      [
        [2, 3],
        [2, 1],
      ],
    ],
    (a, b) => tf.concat([bool(a!), bool(b!)], -1),
  ),
  ...over(
    'stack',
    [
      [
        [2, 3],
        [2, 3],
      ],
    ],
    (a, b) => [tf.stack([a!, b!], 0), tf.stack([a!, b!], -1), tf.stack([a!], 1)],
  ),
  ...over('unstack', [[[2, 3, 4]]], (x) => [...tf.unstack(x!, 1), ...tf.unstack(x!, -1)]),
  ...over('split', [[[6, 4]]], (x) => [...tf.split(x!, 3, 0), ...tf.split(x!, [1, 3], -1)]),
  ...over('slice', [[[4, 5]]], (x) => [
    tf.slice(x!, [1, 2], [2, -1]),
    tf.slice(x!, [0, 4]),
    tf.slice(x!, 3),
  ]),
  ...over('stridedSlice', [[[5, 6]]], (x) => [
    tf.stridedSlice(x!, [0, 1], [5, 6], [2, 2]),
    tf.stridedSlice(x!, [4, 5], [0, 0], [-1, -2]),
    tf.stridedSlice(x!, [4, 5], [0, 0], [-1, -1], 0, 3),
    tf.stridedSlice(x!, [1, 0], [2, 6], [1, 1], 0, 0, 0, 0, 1),
  ]),
  ...over('reverse', [[[3, 4]]], (x) => [
    tf.reverse(x!, 0),
    tf.reverse(x!, [-1, 0]),
    tf.reverse(x!),
  ]),
  ...over('pad', [[[2, 3]]], (x) => [
    tf.pad(x!, [
      [1, 0],
      [2, 1],
    ]),
    tf.pad(
      x!,
      [
        [0, 1],
        [1, 1],
      ],
      7,
    ),
  ]),
  ...over('pad of whole numbers', [[[3]]], (x) => tf.pad(int(x!), [[1, 2]], 9), whole),
  ...over('mirrorPad', [[[3, 4]]], (x) =>
    tf.mirrorPad(
      x!,
      [
        [1, 2],
        [2, 1],
      ],
      'reflect',
    ),
  ),
  ...over('tile', [[[2, 3]]], (x) => tf.tile(x!, [2, 3])),
  ...over('broadcastTo', [[[3, 1]], [[1]], [[]]], (x) => tf.broadcastTo(x!, [2, 3, 4])),
];

const indices = (x: tf.Tensor, count: number) => int(tf.mul(tf.abs(x), count - 1e-3));

const indexing: Case[] = [
  ...over(
    'gather',
    [
      [[6, 4], [3]],
      [
        [6, 4],
        [2, 3],
      ],
    ],
    (x, i) => tf.gather(x!, indices(i!, 6) as tf.Tensor1D),
  ),
  ...over('gather along the last axis', [[[3, 6], [4]]], (x, i) =>
    tf.gather(x!, indices(i!, 6) as tf.Tensor1D, -1),
  ),
  ...over(
    'gatherND',
    [
      [
        [4, 5],
        [3, 2],
      ],
      [
        [4, 5],
        [3, 1],
      ],
    ],
    (x, i) => tf.gatherND(x!, indices(i!, 4)),
  ),
  ...over(
    'scatterND, adding up what meets',
    [
      [
        [20, 1],
        [20, 3],
      ],
    ],
    (i, x) => tf.scatterND(indices(i!, 4), x!, [4, 3]),
  ),
  ...over(
    'tensorScatterUpdate',
    [
      [
        [6, 3],
        [2, 3],
      ],
    ],
    (x, y) => tf.tensorScatterUpdate(x!, tf.tensor2d([[4], [1]], [2, 1], 'int32'), y!),
  ),
  ...over('unsortedSegmentSum', [[[20, 3], [20]]], (x, i) =>
    tf.unsortedSegmentSum(x!, indices(i!, 5) as tf.Tensor1D, 5),
  ),
  ...over('oneHot', [[[7]], [[2, 3]]], (x) => {
    const classes = tf.sub(indices(x!, 6), tf.scalar(1, 'int32'));
    return [tf.oneHot(classes as tf.Tensor1D, 4), tf.oneHot(classes as tf.Tensor1D, 4, 0.9, 0.1)];
  }),
];

const creation: Case[] = [
  ...over('fill, zeros, ones', [[[2, 3]]], (x) => [
    tf.fill([2, 3], 0.1),
    tf.zerosLike(x!),
    tf.onesLike(x!),
    tf.add(x!, tf.ones([2, 3])),
    tf.fill([2], 3, 'int32'),
  ]),
  ...over('range and linspace', [[[4]]], (x) => [
    tf.add(x!, tf.range(0, 4)),
    tf.range(9, 0, -2, 'int32'),
    tf.linspace(0, 1, 5),
  ]),
  ...over(
    'cast',
    [[[20]]],
    (x) => [
      tf.cast(x!, 'int32'),
      tf.cast(x!, 'bool'),
      tf.cast(bool(x!), 'float32'),
      tf.cast(bool(x!), 'int32'),
      tf.cast(int(x!), 'float32'),
    ],
    wide,
  ),
];

const cases: readonly Case[] = [
  ...elementwise,
  ...binary,
  ...reductions,
  ...matrices,
  ...layout,
  ...indexing,
  ...creation,
];

for (const each of cases) {
  test(`${each.title} is compiled to what tfjs computes`, async (t) => {
    const specs = Object.fromEntries(
      each.shapes.map((shape, i) => [`x${i}`, { shape, dtype: 'float32' as const }]),
    );
    const inputs = Object.fromEntries(
      each.shapes.map((shape, i) => {
        const numbers = someNumbers(sizeOf(shape), i + 1);
        return [`x${i}`, each.range ? numbers.map(each.range) : numbers];
      }),
    );
    const run = async (engine: 'onnx-cpu' | 'tfjs-cpu') => {
      const state = createState({});
      const step = await compileStep(
        (_, tensors) => {
          const results = [each.build(...Object.values(tensors))].flat();
          return { state: {}, outputs: Object.fromEntries(results.map((x, i) => [`y${i}`, x])) };
        },
        { state, inputs: specs, engine },
      );
      const outputs = await step.run(inputs);
      await step.dispose();
      return outputs;
    };
    const expected = await run('tfjs-cpu');
    const actual = await run('onnx-cpu');
    t.true(Object.keys(expected).length > 0);
    for (const [name, data] of Object.entries(expected)) {
      t.is(actual[name]!.constructor, data.constructor, name);
      t.true(largestDifference(actual[name]!, data) <= TOLERANCE, describe(name, actual, expected));
    }
  });
}

function describe(
  name: string,
  actual: Record<string, TensorData>,
  expected: Record<string, TensorData>,
): string {
  const show = (data: TensorData) => `[${data.slice(0, 24).join(', ')}]`;
  return `${name} is ${show(actual[name]!)}, expected ${show(expected[name]!)}`;
}

test('every kernel that can be compiled is called by one of these cases', (t) => {
  const called = new Set<string>();
  for (const { shapes, build } of cases) {
    const specs = Object.fromEntries(
      shapes.map((shape, i) => [`x${i}`, { shape, dtype: 'float32' as const }]),
    );
    const { kernelNames } = traceStep(
      (_, tensors) => ({
        state: {},
        outputs: { y: [build(...Object.values(tensors))].flat()[0]! },
      }),
      {},
      specs,
    );
    for (const name of kernelNames) called.add(name);
  }
  t.deepEqual(
    Object.keys(traceKernels).filter((name) => !called.has(name)),
    [],
  );
});
