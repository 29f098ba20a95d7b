import test from 'ava';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { improveReductions } from '../../../compiler/passes/reductions.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

test('squares are added up without being written out', async (t) => {
  const graph = makeGraph({ x: [30, 40] }, (g, { x }) => ({
    y: g.reduce('ReduceSum', g.binary('Mul', x!, x!), [0, 1], false),
  }));
  const improved = removeDeadCode(improveReductions(graph));
  t.deepEqual(operatorsOf(improved), ['ReduceSumSquare']);
  t.true((await differenceAfter(graph, improved)) < 1e-6);
});

for (const operator of ['ReduceSum', 'ReduceMean']) {
  for (const keepDims of [true, false]) {
    test(`${operator} of a large matrix’s columns is a product (keepDims ${keepDims})`, async (t) => {
      const graph = makeGraph({ x: [600, 512] }, (g, { x }) => ({
        y: g.reduce(operator, x!, [0], keepDims),
      }));
      const improved = removeDeadCode(improveReductions(graph));
      t.true(operatorsOf(improved).includes('Gemm'));
      t.deepEqual(improved.outputs.get('y')?.shape, graph.outputs.get('y')?.shape);
      t.true((await differenceAfter(graph, improved)) < 1e-5);
    });
  }
}

test('squares of columns are written out and added up by a product', async (t) => {
  const graph = makeGraph({ x: [512, 512] }, (g, { x }) => ({
    y: g.reduce('ReduceSum', g.binary('Mul', x!, x!), [0], false),
  }));
  const improved = removeDeadCode(improveReductions(graph));
  t.deepEqual(operatorsOf(improved), ['Mul', 'Gemm', 'Reshape']);
  t.true((await differenceAfter(graph, improved)) < 1e-5);
});

test('small matrices, rows and products of two tensors are added up as before', (t) => {
  const graph = makeGraph({ x: [8, 8], y: [512, 512], z: [512, 512] }, (g, { x, y, z }) => ({
    a: g.reduce('ReduceSum', x!, [0], false),
    b: g.reduce('ReduceSum', y!, [1], false),
    d: g.reduce('ReduceMean', x!, [0], false),
    e: g.reduce('ReduceMean', y!, [1], false),
    c: g.reduce('ReduceSum', g.binary('Mul', y!, z!), [0, 1], false),
  }));
  t.deepEqual(operatorsOf(improveReductions(graph)), operatorsOf(graph));
});
