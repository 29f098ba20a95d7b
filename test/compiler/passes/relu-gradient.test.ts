import test from 'ava';
import type { Value } from '../../../compiler/graph.ts';
import type { GraphBuilder } from '../../../compiler/graph-builder.ts';
import { traceKernels } from '../../../compiler/kernels/registry.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { simplifyReluGradients } from '../../../compiler/passes/relu-gradient.ts';
import { differenceAfter, makeGraph, operatorsOf, someNumbers } from '../graphs.ts';

/** Zeros, the smallest normal numbers, infinity. */
const EXTREMES = [0, -0, 2 ** -126, -(2 ** -126), Infinity, -Infinity, 1e-30, 3e38];

/** 1 where x is positive, else alpha, as the kernel records it. */
const step = (graph: GraphBuilder, x: Value, alpha = 0) =>
  traceKernels.Step!(graph, { x }, { alpha }) as Value;

for (const order of ['dy · step(x)', 'step(x) · dy']) {
  test(`${order} takes one step and one product`, async (t) => {
    const graph = makeGraph({ dy: [30, 40], x: [30, 40] }, (g, { dy, x }) => {
      const factors = [dy!, step(g, x!)] as [Value, Value];
      if (order.startsWith('step')) factors.reverse();
      return { y: g.binary('Mul', ...factors) };
    });
    const simplified = removeDeadCode(simplifyReluGradients(graph));
    t.deepEqual(operatorsOf(simplified), ['HardSigmoid', 'Mul']);
    t.is(await differenceAfter(graph, simplified), 0);
    const x = someNumbers(30 * 40).map((number, index) => EXTREMES[index] ?? number);
    t.is(await differenceAfter(graph, simplified, { dy: someNumbers(30 * 40, 2), x }), 0);
  });
}

test('the step is taken of the rectified x, so that x is not kept for it', async (t) => {
  const graph = makeGraph({ dy: [30, 40], x: [30, 40] }, (g, { dy, x }) => ({
    y: g.binary('Max', x!, g.splat(0, 'float32')),
    dx: g.binary('Mul', dy!, step(g, x!)),
  }));
  const simplified = removeDeadCode(simplifyReluGradients(graph));
  const steep = simplified.nodes.find(({ operator }) => operator === 'HardSigmoid');
  t.is(steep?.inputs[0], simplified.outputs.get('y'));
  const x = someNumbers(30 * 40).map((number, index) => EXTREMES[index] ?? number);
  t.is(await differenceAfter(graph, simplified, { dy: someNumbers(30 * 40, 2), x }), 0);
});

test('other slopes and gradients that broadcast stay as they are', (t) => {
  const graph = makeGraph({ dy: [30, 40], row: [40], x: [30, 40] }, (g, { dy, row, x }) => ({
    leaky: g.binary('Mul', dy!, step(g, x!, 0.1)),
    broadcast: g.binary('Mul', row!, step(g, x!)),
  }));
  t.deepEqual(operatorsOf(simplifyReluGradients(graph)), operatorsOf(graph));
});
