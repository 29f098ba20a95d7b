import test from 'ava';
import type { Graph } from '../../../compiler/graph.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { quantiseProducts } from '../../../compiler/passes/quantise-products.ts';
import { quantiseColumns } from '../../../compiler/quantised-weights.ts';
import { feedsFor, largestDifference, makeGraph, operatorsOf, runGraph } from '../graphs.ts';

/** What the quantised graph gives when its weights are those of `feeds`. */
async function runQuantised(graph: Graph, feeds: Record<string, Float32Array>, source: string) {
  const { graph: quantised, inputs } = quantiseProducts(graph, new Set([source]));
  const more = inputs.flatMap((input) => {
    const columns = graph.inputs.get(input.source)!.shape[1]!;
    const values = new Int8Array(feeds[input.source]!.length);
    const scales = new Float32Array(columns);
    quantiseColumns(feeds[input.source]!, { values, scales });
    return [
      [input.values, values],
      [input.scales, scales],
    ] as const;
  });
  return runGraph(quantised, { ...feeds, ...Object.fromEntries(more) });
}

test('a product and its bias become one product in int8, near to the one in f32', async (t) => {
  const graph = makeGraph({ x: [5, 64], w: [64, 12], b: [12] }, (g, { x, w, b }) => ({
    y: g.binary('Add', g.gemm(x!, w!), b!),
  }));
  const { graph: quantised, inputs } = quantiseProducts(graph, new Set(['w']));
  t.deepEqual(operatorsOf(removeDeadCode(quantised)), ['DynamicQuantizeMatMul']);
  t.deepEqual(inputs, [{ source: 'w', values: 'int8:w', scales: 'scales:w' }]);
  const feeds = feedsFor(graph);
  const exact = (await runGraph(graph, feeds)).y!;
  const rounded = (await runQuantised(graph, feeds, 'w')).y!;
  const difference = largestDifference(rounded, exact);
  t.true(difference < 0.03, `${difference}`);
  t.true(difference > 0, 'int8 rounds');
});

test('a product that is read twice keeps its addition, and a sum of one number too', async (t) => {
  const graph = makeGraph({ x: [2, 8], w: [8, 3], b: [3] }, (g, { x, w, b }) => {
    const product = g.gemm(x!, w!);
    const other = g.gemm(g.unary('Neg', x!), w!);
    const one = g.splat(1, 'float32', [3]);
    return { product, sum: g.binary('Add', product, b!), more: g.binary('Add', other, one) };
  });
  const { graph: quantised } = quantiseProducts(graph, new Set(['w']));
  t.deepEqual(operatorsOf(quantised), [
    'DynamicQuantizeMatMul',
    'Neg',
    'DynamicQuantizeMatMul',
    'Add',
    'Add',
  ]);
  const feeds = feedsFor(graph);
  const exact = await runGraph(graph, feeds);
  const rounded = await runQuantised(graph, feeds, 'w');
  for (const name of Object.keys(exact)) {
    t.true(largestDifference(rounded[name]!, exact[name]!) < 0.03, name);
  }
});

test('weights that are read transposed, as a left operand or not by a product stay f32', (t) => {
  const graph = makeGraph({ x: [4, 3], w: [8, 3] }, (g, { x, w }) => ({
    transposed: g.gemm(x!, w!, false, true),
    left: g.gemm(w!, x!, false, true),
    plain: g.unary('Neg', w!),
  }));
  const { graph: same, inputs } = quantiseProducts(graph, new Set(['w']));
  t.deepEqual(operatorsOf(same), ['Gemm', 'Gemm', 'Neg']);
  t.deepEqual(inputs, []);
});
