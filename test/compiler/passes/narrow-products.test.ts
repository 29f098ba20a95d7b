import test from 'ava';
import type { Value } from '../../../compiler/graph.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { transposeNarrowProducts } from '../../../compiler/passes/narrow-products.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

const STEPS = 4;
const WIDTH = 256;

function recurrence(rows: number, transposeB: boolean) {
  return makeGraph({ h: [rows, WIDTH], w: [WIDTH, WIDTH] }, (g, { h, w }) => {
    // Weights that keep the recurrence from multiplying its rounding errors.
    const weights = g.binary('Mul', w!, g.splat(0.05, 'float32'));
    let hidden = h as Value;
    for (let step = 0; step < STEPS; step++) {
      hidden = g.unary('Tanh', g.gemm(hidden, weights, false, transposeB));
    }
    return { hidden };
  });
}

test('a recurrent layer’s products use weights that are transposed once', async (t) => {
  const graph = recurrence(2, false);
  const rewritten = removeDeadCode(transposeNarrowProducts(graph));
  const operators = operatorsOf(rewritten);
  t.is(operators.filter((operator) => operator === 'Gemm').length, STEPS);
  t.is(operators.filter((operator) => operator === 'Transpose').length, STEPS + 1);
  for (const node of rewritten.nodes) {
    if (node.operator === 'Gemm') t.deepEqual(node.outputs[0]!.shape, [WIDTH, 2]);
  }
  t.true((await differenceAfter(graph, rewritten)) < 1e-5);
});

test('weights that a product reads transposed are right as they are', async (t) => {
  const graph = recurrence(2, true);
  const rewritten = removeDeadCode(transposeNarrowProducts(graph));
  const transposes = rewritten.nodes.filter((node) => node.operator === 'Transpose');
  t.is(transposes.length, STEPS);
  t.true((await differenceAfter(graph, rewritten)) < 1e-5);
});

test('products with many rows stay as they are', (t) => {
  const graph = recurrence(128, false);
  t.deepEqual(operatorsOf(transposeNarrowProducts(graph)), operatorsOf(graph));
});
