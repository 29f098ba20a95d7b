import test from 'ava';
import type { Value } from '../../../compiler/graph.ts';
import type { GraphBuilder } from '../../../compiler/graph-builder.ts';
import { computeRowsApart } from '../../../compiler/passes/rows-apart.ts';
import { differenceAfter, feedsFor, makeGraph, operatorsOf } from '../graphs.ts';

function softmax(g: GraphBuilder, x: Value): Value {
  return g.unary('Softmax', x, { axis: 1 });
}

function split(g: GraphBuilder, x: Value, sizes: readonly number[]): readonly Value[] {
  const parts = sizes.map((size) => ({ shape: x.shape.with(0, size), dtype: x.dtype }));
  return g.addMany('Split', [x], parts, { axis: 0, split: sizes });
}

function count(operators: readonly string[], operator: string): number {
  return operators.filter((each) => each === operator).length;
}

test('what is done to rows that were put together is done to each part', async (t) => {
  const graph = makeGraph({ a: [32, 6], b: [40, 6], bias: [6], one: [1, 6] }, (g, inputs) => {
    const rows = g.concat([inputs.a!, inputs.b!], 0);
    const moved = g.binary('Add', g.binary('Mul', rows, inputs.one!), inputs.bias!);
    return { y: softmax(g, g.binary('Sub', moved, rows)) };
  });
  const apart = computeRowsApart(graph);
  t.deepEqual(operatorsOf(apart), [
    ...['Mul', 'Mul', 'Add', 'Add', 'Sub', 'Sub', 'Softmax', 'Softmax'],
    'Concat',
  ]);
  t.is(await differenceAfter(graph, apart), 0);
});

test('rows that are put together to be taken apart again stay apart', async (t) => {
  const graph = makeGraph({ a: [32, 6], b: [40, 6] }, (g, { a, b }) => {
    const [first, second] = split(g, g.unary('Tanh', g.concat([a!, b!], 0)), [32, 40]);
    return { first: first!, second: second! };
  });
  const apart = computeRowsApart(graph);
  t.deepEqual(operatorsOf(apart), ['Tanh', 'Tanh']);
  t.is(await differenceAfter(graph, apart), 0);
});

test('rows that are looked up are looked up in the parts that they will be taken apart into', async (t) => {
  const graph = makeGraph({ table: [9, 4], places: [64] }, (g, { table, places }) => {
    const indices = g.cast(g.unary('Abs', places!), 'int32');
    const spec = { shape: [64, 4], dtype: 'float32' } as const;
    const rows = g.add('Gather', [table!, indices], spec, { axis: 0 });
    const [first, second] = split(g, g.unary('Sigmoid', rows), [32, 32]);
    return { first: first!, second: second! };
  });
  const apart = computeRowsApart(graph);
  t.deepEqual(
    ['Gather', 'Sigmoid', 'Split'].map((operator) => count(operatorsOf(apart), operator)),
    [2, 2, 1],
  );
  t.deepEqual(apart.nodes.find(({ operator }) => operator === 'Split')!.outputs[0]!.shape, [32]);
  const feeds = { ...feedsFor(graph), places: Float32Array.from({ length: 64 }, (_, i) => i % 9) };
  t.is(await differenceAfter(graph, apart, feeds), 0);
});

test('few rows, other axes, other operators and operands that differ from row to row stay whole', async (t) => {
  const graph = makeGraph({ a: [32, 6], b: [32, 6], few: [8, 6], rows: [64, 6] }, (g, inputs) => {
    const { a, b, few, rows } = inputs as Record<string, Value>;
    const long = g.concat([a!, b!], 0);
    return {
      few: softmax(g, g.concat([few!, few!], 0)),
      side: softmax(g, g.concat([a!, b!], 1)),
      columns: g.unary('Softmax', long, { axis: 0 }),
      sums: g.reduce('ReduceSum', long, [0], false),
      sum: g.binary('Add', long, rows!),
    };
  });
  const apart = computeRowsApart(graph);
  t.deepEqual([...operatorsOf(apart)].sort(), [...operatorsOf(graph)].sort());
  t.is(await differenceAfter(graph, apart), 0);
});
