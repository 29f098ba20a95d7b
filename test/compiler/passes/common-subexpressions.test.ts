import test from 'ava';
import { shareCommonSubexpressions } from '../../../compiler/passes/common-subexpressions.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

test('what is computed twice is computed once, with all that follows from it', async (t) => {
  const graph = makeGraph({ x: [4], y: [4] }, (g, { x, y }) => {
    const half = () => g.binary('Mul', g.binary('Add', x!, y!), g.splat(0.5, 'float32'));
    return { a: g.unary('Tanh', half()), b: g.unary('Exp', half()) };
  });
  const shared = shareCommonSubexpressions(graph);
  t.deepEqual(operatorsOf(shared), ['Add', 'Mul', 'Tanh', 'Exp']);
  t.is(await differenceAfter(graph, shared), 0);
});

test('operations that differ in an attribute, an operand or its order stay apart', async (t) => {
  const graph = makeGraph({ x: [2, 2], y: [2, 2] }, (g, { x, y }) => ({
    a: g.reduce('ReduceSum', x!, [0], false),
    b: g.reduce('ReduceSum', x!, [1], false),
    c: g.binary('Sub', x!, y!),
    d: g.binary('Sub', y!, x!),
    e: g.binary('Mul', x!, g.splat(2, 'float32')),
    f: g.binary('Mul', x!, g.splat(3, 'float32')),
  }));
  const shared = shareCommonSubexpressions(graph);
  t.is(shared.nodes.length, 6);
  t.is(await differenceAfter(graph, shared), 0);
});

test('0 and −0 are different numbers', (t) => {
  const graph = makeGraph({ x: [2] }, (g, { x }) => ({
    a: g.binary('Div', x!, g.splat(0, 'float32')),
    b: g.binary('Div', x!, g.splat(-0, 'float32')),
  }));
  t.is(shareCommonSubexpressions(graph).nodes.length, 2);
});
