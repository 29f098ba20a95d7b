import test from 'ava';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { fuseLogSoftmax } from '../../../compiler/passes/log-softmax.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

for (const axis of [0, 1]) {
  test(`a log-softmax over axis ${axis} of 2 is ${axis === 1 ? 'one' : 'not one'} operation`, async (t) => {
    const graph = makeGraph({ x: [4, 7] }, (g, { x }) => {
      const shifted = g.binary('Sub', x!, g.reduce('ReduceMax', x!, [axis], true));
      const sum = g.reduce('ReduceSum', g.unary('Exp', shifted), [axis], true);
      return { y: g.binary('Sub', shifted, g.unary('Log', sum)) };
    });
    const fused = removeDeadCode(fuseLogSoftmax(graph));
    t.deepEqual(operatorsOf(fused), axis === 1 ? ['LogSoftmax'] : operatorsOf(graph));
    t.true((await differenceAfter(graph, fused)) < 1e-6);
  });
}
