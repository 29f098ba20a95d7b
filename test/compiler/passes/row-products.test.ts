import test from 'ava';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { multiplyRows } from '../../../compiler/passes/row-products.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

for (const keepDims of [true, false]) {
  test(`rows of two tensors are multiplied as vectors (keepDims ${keepDims})`, async (t) => {
    const graph = makeGraph({ a: [3, 5, 300], b: [3, 5, 300] }, (g, { a, b }) => ({
      y: g.reduce('ReduceSum', g.binary('Mul', a!, b!), [2], keepDims),
    }));
    const multiplied = removeDeadCode(multiplyRows(graph));
    t.deepEqual(operatorsOf(multiplied), ['Reshape', 'Reshape', 'FusedMatMul', 'Reshape']);
    t.deepEqual(multiplied.outputs.get('y')?.shape, graph.outputs.get('y')?.shape);
    t.true((await differenceAfter(graph, multiplied)) < 1e-6);
  });
}

test('so are the means of many long rows', async (t) => {
  const graph = makeGraph({ a: [512, 2048], b: [512, 2048], c: [500, 2048] }, (g, inputs) => {
    const [a, b, c] = [inputs.a!, inputs.b!, inputs.c!];
    return {
      many: g.reduce('ReduceMean', g.binary('Mul', a, b), [1], true),
      few: g.reduce('ReduceMean', g.binary('Mul', c, c), [1], true),
    };
  });
  const multiplied = removeDeadCode(multiplyRows(graph));
  t.deepEqual(
    operatorsOf(multiplied).filter((operator) => operator !== 'Reshape'),
    ['FusedMatMul', 'Mul', 'Mul', 'ReduceMean'],
  );
  t.true((await differenceAfter(graph, multiplied)) < 1e-5);
});

test('short rows, columns, broadcast operands and products that are read otherwise stay', (t) => {
  const graph = makeGraph({ a: [300, 300], b: [300, 300], c: [300], d: [300, 8] }, (g, inputs) => {
    const [a, b, c, d] = [inputs.a!, inputs.b!, inputs.c!, inputs.d!];
    const read = g.binary('Mul', a, b);
    return {
      read,
      rows: g.reduce('ReduceSum', read, [1], false),
      columns: g.reduce('ReduceSum', g.binary('Mul', b, a), [0], false),
      broadcast: g.reduce('ReduceSum', g.binary('Mul', a, c), [1], false),
      short: g.reduce('ReduceSum', g.binary('Mul', d, d), [1], false),
    };
  });
  t.deepEqual(operatorsOf(multiplyRows(graph)), operatorsOf(graph));
});
