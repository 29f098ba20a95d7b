import test from 'ava';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

test('nodes that reach no output are dropped, those that do stay in order', async (t) => {
  const graph = makeGraph({ x: [3] }, (g, { x }) => {
    const kept = g.unary('Exp', x!);
    g.unary('Log', g.unary('Abs', kept));
    return { y: g.unary('Neg', kept) };
  });
  const alive = removeDeadCode(graph);
  t.deepEqual(operatorsOf(alive), ['Exp', 'Neg']);
  t.is(await differenceAfter(graph, alive), 0);
});

test('a node with several outputs stays when one of them is read', (t) => {
  const graph = makeGraph({ x: [4] }, (g, { x }) => {
    const part = { shape: [2], dtype: 'float32' } as const;
    const parts = g.addMany('Split', [x!], [part, part], { axis: 0, split: [2, 2] });
    return { y: parts[1]! };
  });
  t.deepEqual(operatorsOf(removeDeadCode(graph)), ['Split']);
});
