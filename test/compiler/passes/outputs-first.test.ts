import test from 'ava';
import { computeOutputsFirst } from '../../../compiler/passes/outputs-first.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

test('what only gives an output of the step comes last, all else in its order', async (t) => {
  const graph = makeGraph({ x: [3, 4], w: [3, 4] }, (g, { x, w }) => {
    const shown = g.unary('Exp', x!);
    const alsoRead = g.unary('Sigmoid', w!);
    return {
      'output:shown': shown,
      'output:read': alsoRead,
      'state:w': g.binary('Sub', w!, g.unary('Tanh', alsoRead)),
      'state:last': g.unary('Neg', x!),
    };
  });
  const ordered = computeOutputsFirst(graph);
  t.deepEqual(operatorsOf(ordered), ['Sigmoid', 'Tanh', 'Sub', 'Neg', 'Exp']);
  t.is(await differenceAfter(graph, ordered), 0);
});
