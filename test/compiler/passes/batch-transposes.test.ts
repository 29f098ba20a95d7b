import test from 'ava';
import { absorbBatchTransposes } from '../../../compiler/passes/batch-transposes.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

test('products of batches read transposed operands as they lie', async (t) => {
  const graph = makeGraph({ a: [3, 5, 4], b: [3, 6, 5], c: [3, 5, 6] }, (g, { a, b, c }) => {
    const product = { shape: [3, 4, 6], dtype: 'float32' } as const;
    const left = g.transpose(a!, [0, 2, 1]);
    return {
      both: g.add('MatMul', [left, g.transpose(b!, [0, 2, 1])], product),
      one: g.add('MatMul', [left, c!], product),
    };
  });
  const absorbed = removeDeadCode(absorbBatchTransposes(graph));
  t.deepEqual(operatorsOf(absorbed), ['FusedMatMul', 'FusedMatMul']);
  t.true((await differenceAfter(graph, absorbed)) < 1e-6);
});

test('operands whose batches were moved stay as they are', (t) => {
  const graph = makeGraph({ a: [4, 3, 5], b: [3, 5, 6] }, (g, { a, b }) => ({
    y: g.add('MatMul', [g.transpose(a!, [1, 0, 2]), b!], { shape: [3, 4, 6], dtype: 'float32' }),
  }));
  t.deepEqual(operatorsOf(absorbBatchTransposes(graph)), operatorsOf(graph));
});
