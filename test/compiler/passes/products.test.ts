import test from 'ava';
import type { Value } from '../../../compiler/graph.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { absorbFactorsAndAdditions, absorbTransposes } from '../../../compiler/passes/products.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

test('a product reads its operands transposed instead of transposing them', async (t) => {
  const graph = makeGraph({ a: [3, 2], b: [3, 4] }, (g, { a, b }) => ({
    y: g.gemm(g.transpose(a!, [1, 0]), g.transpose(b!, [1, 0]), false, true),
  }));
  const absorbed = removeDeadCode(absorbTransposes(graph));
  t.deepEqual(operatorsOf(absorbed), ['Gemm']);
  t.like(absorbed.nodes[0]?.attributes, { transA: 1, transB: 0 });
  t.true((await differenceAfter(graph, absorbed)) < 1e-6);
});

test('factors of a product and of its operands are one factor of the product', async (t) => {
  const graph = makeGraph({ a: [2, 3], b: [3, 4] }, (g, { a, b }) => {
    const scaled = (x: Value, factor: number) => g.binary('Mul', x, g.splat(factor, 'float32'));
    return { y: scaled(g.gemm(scaled(a!, 0.5), b!), 3) };
  });
  const absorbed = removeDeadCode(absorbFactorsAndAdditions(graph));
  t.deepEqual(operatorsOf(absorbed), ['Gemm']);
  t.is(absorbed.nodes[0]?.attributes.alpha, 1.5);
  t.true((await differenceAfter(graph, absorbed)) < 1e-6);
});

for (const shape of [[4], [1, 4], [2, 1], [2, 4], []]) {
  test(`an addend of shape [${shape}] goes into the product before it`, async (t) => {
    const graph = makeGraph({ a: [2, 3], b: [3, 4], c: shape }, (g, { a, b, c }) => ({
      y: g.binary('Add', c!, g.gemm(a!, b!)),
    }));
    const absorbed = removeDeadCode(absorbFactorsAndAdditions(graph));
    t.deepEqual(operatorsOf(absorbed), ['Gemm']);
    t.true((await differenceAfter(graph, absorbed)) < 1e-6);
  });
}

test('a product that is read twice, or smaller than the sum, keeps its addition', async (t) => {
  const graph = makeGraph({ a: [2, 3], b: [3, 4], c: [4], d: [1, 3], e: [2, 4] }, (g, inputs) => {
    const { a, b, c, d, e } = inputs as Record<'a' | 'b' | 'c' | 'd' | 'e', Value>;
    const twice = g.gemm(a, b);
    return { sum: g.binary('Add', twice, c), twice, wide: g.binary('Add', g.gemm(d, b), e) };
  });
  const absorbed = absorbFactorsAndAdditions(graph);
  t.deepEqual(operatorsOf(absorbed), ['Gemm', 'Add', 'Gemm', 'Add']);
  t.is(await differenceAfter(graph, absorbed), 0);
});
