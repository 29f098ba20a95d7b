import test from 'ava';
import type { Value } from '../../../compiler/graph.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { simplifyLayout } from '../../../compiler/passes/layout.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

const halves = [
  { shape: [2, 3], dtype: 'float32' },
  { shape: [2, 3], dtype: 'float32' },
] as const;

test('reshapes in a row are one, and none where they lead back', async (t) => {
  const graph = makeGraph({ x: [4, 3] }, (g, { x }) => {
    const flat = g.reshape(x!, [12]);
    return { a: g.reshape(flat, [2, 6]), b: g.reshape(flat, [4, 3]) };
  });
  const simple = removeDeadCode(simplifyLayout(graph));
  t.deepEqual(operatorsOf(simple), ['Reshape']);
  t.is(await differenceAfter(graph, simple), 0);
});

test('transposing twice is transposing once, or not at all', async (t) => {
  const graph = makeGraph({ x: [2, 3, 4] }, (g, { x }) => {
    const turned = g.transpose(x!, [2, 0, 1]);
    return { a: g.transpose(turned, [1, 2, 0]), b: g.transpose(turned, [1, 0, 2]) };
  });
  const simple = removeDeadCode(simplifyLayout(graph));
  t.deepEqual(operatorsOf(simple), ['Transpose']);
  t.deepEqual(simple.nodes[0]?.attributes.perm, [0, 2, 1]);
  t.is(await differenceAfter(graph, simple), 0);
});

test('moving an axis of size 1 is a reshape', async (t) => {
  const graph = makeGraph({ x: [3, 1, 4] }, (g, { x }) => ({ y: g.transpose(x!, [1, 0, 2]) }));
  const simple = simplifyLayout(graph);
  t.deepEqual(operatorsOf(simple), ['Reshape']);
  t.is(await differenceAfter(graph, simple), 0);
});

test('a tensor that is cut and joined again is the tensor, in order only', async (t) => {
  const graph = makeGraph({ x: [4, 3] }, (g, { x }) => {
    const parts = g.addMany('Split', [x!], halves, { axis: 0, split: [2, 2] });
    return { same: g.concat(parts, 0), swapped: g.concat(parts.toReversed(), 0) };
  });
  const simple = simplifyLayout(graph);
  t.is(simple.outputs.get('same'), graph.inputs.get('x'));
  t.deepEqual(operatorsOf(simple), ['Split', 'Concat']);
  t.is(await differenceAfter(graph, simple), 0);
});

test('parts that are joined and cut again are the parts, where the cuts are the same', async (t) => {
  const graph = makeGraph({ x: [2, 3], y: [2, 3] }, (g, { x, y }) => {
    const joined = g.concat([x!, y!], 0);
    const [a, b] = g.addMany('Split', [joined], halves, { axis: 0, split: [2, 2] }) as Value[];
    const uneven = [
      { shape: [1, 3], dtype: 'float32' },
      { shape: [3, 3], dtype: 'float32' },
    ] as const;
    const [c, d] = g.addMany('Split', [joined], uneven, { axis: 0, split: [1, 3] }) as Value[];
    return { a: a!, b: b!, c: c!, d: d! };
  });
  const simple = removeDeadCode(simplifyLayout(graph));
  t.is(simple.outputs.get('a'), graph.inputs.get('x'));
  t.is(simple.outputs.get('b'), graph.inputs.get('y'));
  t.deepEqual(operatorsOf(simple), ['Concat', 'Split']);
  t.is(await differenceAfter(graph, simple), 0);
});
