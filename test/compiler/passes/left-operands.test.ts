import test from 'ava';
import { shareCommonSubexpressions } from '../../../compiler/passes/common-subexpressions.ts';
import { transposeLeftOperands } from '../../../compiler/passes/left-operands.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

test('the left operand of a wide product is transposed before it', async (t) => {
  const graph = makeGraph({ a: [30, 20], b: [30, 600], c: [600, 30] }, (g, { a, b, c }) => ({
    wide: g.gemm(a!, b!, true),
    both: g.gemm(a!, c!, true, true),
  }));
  const transposed = transposeLeftOperands(graph);
  t.deepEqual(operatorsOf(transposed), ['Transpose', 'Gemm', 'Transpose', 'Gemm']);
  t.true((await differenceAfter(graph, transposed)) < 1e-6);
});

test('a left operand that several products read is transposed before them', async (t) => {
  const graph = makeGraph({ a: [30, 20], b: [30, 40] }, (g, { a, b }) =>
    Object.fromEntries(
      [1, 2, 3, 4].map((factor) => [
        `y${factor}`,
        g.gemm(a!, g.binary('Mul', b!, g.splat(factor, 'float32', [])), true),
      ]),
    ),
  );
  const transposed = shareCommonSubexpressions(transposeLeftOperands(graph));
  t.is(operatorsOf(transposed).filter((operator) => operator === 'Transpose').length, 1);
  t.true((await differenceAfter(graph, transposed)) < 1e-6);
});

test('left operands of narrow products, and those that are not transposed, stay', (t) => {
  const graph = makeGraph({ a: [30, 20], b: [30, 40], c: [20, 600] }, (g, { a, b, c }) => ({
    narrow: g.gemm(a!, b!, true),
    plain: g.gemm(a!, c!),
  }));
  t.deepEqual(operatorsOf(transposeLeftOperands(graph)), operatorsOf(graph));
});
