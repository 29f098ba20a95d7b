import test from 'ava';
import { appendBiasRows } from '../../../compiler/passes/bias-rows.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

/** 2¹² columns: with 2¹⁰ rows the result is large. */
const large = { x: [1024, 20], weights: [20, 4096], bias: [4096] } as const;

for (const order of ['product + bias', 'bias + product']) {
  test(`${order}: the bias of a large result is one more row of the right operand`, async (t) => {
    const graph = makeGraph(large, (g, { x, weights, bias }) => {
      const terms = [g.gemm(x!, weights!), bias!] as const;
      const [a, b] = order === 'product + bias' ? terms : [terms[1], terms[0]];
      return { y: g.binary('Add', a, b) };
    });
    const appended = removeDeadCode(appendBiasRows(graph));
    t.deepEqual(operatorsOf(appended), ['Concat', 'Reshape', 'Concat', 'Gemm']);
    const difference = await differenceAfter(graph, appended);
    t.true(difference < 1e-6, String(difference));
  });
}

test('small results, tall right operands, products that are read elsewhere and other terms stay', (t) => {
  const shapes = {
    ...large,
    few: [8, 20],
    short: [8, 4096],
    tall: [2048, 4096],
    long: [1024, 2048],
  };
  const graph = makeGraph(shapes, (g, inputs) => {
    const { x, weights, bias, few, short, tall, long } = inputs;
    const read = g.gemm(x!, weights!);
    return {
      read,
      sum: g.binary('Add', read, bias!),
      small: g.binary('Add', g.gemm(few!, weights!), bias!),
      tall: g.binary('Add', g.gemm(long!, tall!), bias!),
      number: g.binary('Add', g.gemm(x!, weights!), g.splat(1, 'float32')),
      transposed: g.binary('Add', g.gemm(weights!, short!, true, true), g.splat(1, 'float32')),
    };
  });
  t.deepEqual(operatorsOf(removeDeadCode(appendBiasRows(graph))), operatorsOf(graph));
});
