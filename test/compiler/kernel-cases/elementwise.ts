import * as tf from '@tensorflow/tfjs-core';
import {
  anyShape,
  bool,
  broadcasting,
  type Case,
  halves,
  int,
  over,
  positive,
  whole,
  wide,
} from './case.ts';

export const elementwiseCases: readonly Case[] = [
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

export const binaryCases: readonly Case[] = [
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
  ...over('atan2 and its gradient', broadcasting, (a, b) => [
    tf.atan2(a!, b!),
    ...tf.grads((y, x) => tf.sum(tf.atan2(y!, x!)))([a!, b!]),
  ]),
  ...over('atan2 where a side is 0', [[[40], [40]]], (a, b) => {
    const withoutSign = (x: tf.Tensor) => tf.where(tf.equal(x, 0), 0, x);
    return tf.atan2(withoutSign(tf.round(a!)), withoutSign(tf.round(b!)));
  }),
  ...over(
    'bitwiseAnd',
    [[[40], [40]]],
    (a, b) => tf.bitwiseAnd(int(a!), int(b!)),
    (x) => x * 1e6,
  ),
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
  ...over(
    'whole numbers divided by zero',
    [[[60], [60]]],
    (a, b) => [tf.floorDiv(int(a!), int(b!)), tf.mod(int(a!), int(b!))],
    (x) => x * 3,
  ),
  ...over(
    'whole numbers divided by constants',
    [[[4]]],
    (x) =>
      [
        [2, 0, -3, 1],
        [2, 5, -3, 1],
      ].map((by) => tf.floorDiv(int(x!), tf.tensor1d(by, 'int32'))),
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
