import test from 'ava';
import type { Graph } from '../../../compiler/graph.ts';
import { narrowSplits } from '../../../compiler/passes/narrow-splits.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

/** Cuts the second axis into parts of 1, 2, 1, 2 and so on. */
function splitGraph(parts: number): Graph {
  const sizes = Array.from({ length: parts }, (_, index) => 1 + (index % 2));
  const columns = sizes.reduce((sum, size) => sum + size, 0);
  return makeGraph({ x: [3, columns] }, (graph, { x }) => {
    const outputs = sizes.map((size) => ({ shape: [3, size], dtype: 'float32' as const }));
    const values = graph.addMany('Split', [x!], outputs, { axis: 1, split: sizes });
    return Object.fromEntries(values.map((value, index) => [`y${index}`, value]));
  });
}

test('a cut into more parts than a shader has buffers becomes slices', async (t) => {
  const graph = splitGraph(9);
  const narrow = narrowSplits(graph);
  t.deepEqual(operatorsOf(narrow), new Array(9).fill('Slice'));
  t.is(await differenceAfter(graph, narrow), 0);
});

test('a cut into few parts stays one operation', (t) => {
  t.deepEqual(operatorsOf(narrowSplits(splitGraph(7))), ['Split']);
});
