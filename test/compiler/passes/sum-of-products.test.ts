import test from 'ava';
import type { Value } from '../../../compiler/graph.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { joinSumsOfProducts } from '../../../compiler/passes/sum-of-products.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

const TIME = 5;
const steps = Array.from({ length: TIME }, (_, t) => t);
const shapes = Object.fromEntries(
  steps.flatMap((t) => [
    [`x${t}`, [2, 3]],
    [`g${t}`, [2, 4]],
  ]),
);

test('weight gradients of all time steps become one product, bias gradients one sum', async (t) => {
  const graph = makeGraph(shapes, (g, inputs) => {
    let weights: Value | undefined;
    let bias: Value | undefined;
    for (const time of steps.toReversed()) {
      const ofWeights = g.gemm(inputs[`x${time}`]!, inputs[`g${time}`]!, true, false);
      const ofBias = g.reduce('ReduceSum', inputs[`g${time}`]!, [0], false);
      weights = weights ? g.binary('Add', weights, ofWeights) : ofWeights;
      bias = bias ? g.binary('Add', bias, ofBias) : ofBias;
    }
    return { weights: weights!, bias: bias! };
  });
  const joined = removeDeadCode(joinSumsOfProducts(graph));
  t.deepEqual(operatorsOf(joined).toSorted(), ['Concat', 'Concat', 'Concat', 'Gemm', 'ReduceSum']);
  const product = joined.nodes.find((node) => node.operator === 'Gemm')!;
  t.deepEqual(
    product.inputs.map((input) => input.shape),
    [
      [2 * TIME, 3],
      [2 * TIME, 4],
    ],
  );
  t.true((await differenceAfter(graph, joined)) < 1e-6);
});

for (const [transposeA, transposeB] of [
  [false, false],
  [true, true],
  [false, true],
] as const) {
  test(`operands are joined along the inner axis (${transposeA}, ${transposeB})`, async (t) => {
    const left = transposeA ? [3, 2] : [2, 3];
    const right = transposeB ? [4, 3] : [3, 4];
    const graph = makeGraph({ a: left, b: right, c: left, d: right }, (g, inputs) => {
      const { a, b, c, d } = inputs as Record<'a' | 'b' | 'c' | 'd', Value>;
      const product = (x: Value, y: Value) => g.gemm(x, y, transposeA, transposeB);
      return { y: g.binary('Add', product(a, b), product(c, d)) };
    });
    const joined = removeDeadCode(joinSumsOfProducts(graph));
    t.deepEqual(operatorsOf(joined), ['Concat', 'Concat', 'Gemm']);
    t.true((await differenceAfter(graph, joined)) < 1e-6);
  });
}

test('other terms of the sum stay, and so does a product that is read elsewhere', async (t) => {
  const graph = makeGraph({ ...shapes, e: [3, 4] }, (g, inputs) => {
    const [first, second, third] = steps.map((time) =>
      g.gemm(inputs[`x${time}`]!, inputs[`g${time}`]!, true, false),
    ) as [Value, Value, Value];
    const sum = g.binary('Add', g.binary('Add', first, inputs.e!), second);
    return { y: g.binary('Add', sum, third), third };
  });
  const joined = removeDeadCode(joinSumsOfProducts(graph));
  const operators = operatorsOf(joined);
  t.is(operators.filter((operator) => operator === 'Gemm').length, 2);
  t.true((await differenceAfter(graph, joined)) < 1e-6);
});

test('a sum that broadcasts one of its products is left alone', async (t) => {
  const graph = makeGraph({ a: [2, 3], b: [2, 4], c: [2, 1], d: [2, 4] }, (g, inputs) => {
    const { a, b, c, d } = inputs as Record<'a' | 'b' | 'c' | 'd', Value>;
    return { y: g.binary('Add', g.gemm(a, b, true), g.gemm(c, d, true)) };
  });
  const joined = joinSumsOfProducts(graph);
  t.deepEqual(operatorsOf(joined), ['Gemm', 'Gemm', 'Add']);
  t.is(await differenceAfter(graph, joined), 0);
});
