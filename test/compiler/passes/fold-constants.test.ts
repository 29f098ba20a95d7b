import test from 'ava';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { foldConstants } from '../../../compiler/passes/fold-constants.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

test('multiplying by a tensor of ones, as the gradient of a sum does, leaves nothing', async (t) => {
  const graph = makeGraph({ x: [3, 4] }, (g, { x }) => ({
    y: g.binary('Mul', x!, g.splat(1, 'float32', [3, 4])),
  }));
  const folded = foldConstants(graph);
  t.deepEqual(operatorsOf(folded), []);
  t.is(folded.outputs.get('y'), graph.inputs.get('x'));
  t.is(await differenceAfter(graph, folded), 0);
});

test('a number blown up to a tensor is added as one number', async (t) => {
  const graph = makeGraph({ x: [3, 4], s: [] }, (g, { x, s }) => ({
    y: g.binary('Add', x!, g.expand(s!, [3, 4])),
    z: g.binary('Add', x!, g.splat(2, 'float32', [3, 4])),
  }));
  const folded = removeDeadCode(foldConstants(graph));
  t.deepEqual(operatorsOf(folded), ['Add', 'Add']);
  t.deepEqual(
    folded.nodes.map((node) => node.inputs[1]!.shape),
    [[], []],
  );
  t.is(await differenceAfter(graph, folded), 0);
});

test('operations on numbers are done once, rounded as float32', async (t) => {
  const graph = makeGraph({ x: [2] }, (g, { x }) => {
    const third = g.binary('Div', g.splat(1, 'float32'), g.splat(3, 'float32'));
    const root = g.unary('Sqrt', g.binary('Add', third, g.splat(2, 'float32')));
    return { y: g.binary('Mul', x!, g.expand(root, [2])) };
  });
  const folded = foldConstants(graph);
  t.deepEqual(operatorsOf(folded), ['Mul']);
  t.is(await differenceAfter(graph, folded), 0);
});

test('the sum of a constant tensor is a number', async (t) => {
  const graph = makeGraph({ x: [] }, (g, { x }) => ({
    y: g.binary('Add', x!, g.reduce('ReduceSum', g.splat(0.5, 'float32', [4, 6]), [0, 1], false)),
  }));
  const folded = foldConstants(graph);
  t.deepEqual(operatorsOf(folded), ['Add']);
  t.is(await differenceAfter(graph, folded), 0);
});

test('what looks neutral but is not stays: 1 / x, 0 − x, x · 0', async (t) => {
  const graph = makeGraph({ x: [3] }, (g, { x }) => ({
    a: g.binary('Div', g.splat(1, 'float32'), x!),
    b: g.binary('Sub', g.splat(0, 'float32'), x!),
    c: g.binary('Mul', x!, g.splat(0, 'float32')),
  }));
  const folded = foldConstants(graph);
  t.deepEqual(operatorsOf(folded), ['Div', 'Sub', 'Mul']);
  t.is(await differenceAfter(graph, folded), 0);
});

test('an operand that gives the result its shape is not made smaller', async (t) => {
  const graph = makeGraph({ x: [1, 4] }, (g, { x }) => ({
    y: g.binary('Add', x!, g.splat(2, 'float32', [3, 4])),
  }));
  const folded = foldConstants(graph);
  t.deepEqual(folded.outputs.get('y')?.shape, [3, 4]);
  t.is(await differenceAfter(graph, folded), 0);
});
