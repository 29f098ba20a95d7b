import test from 'ava';
import type { Value } from '../../../compiler/graph.ts';
import type { GraphBuilder } from '../../../compiler/graph-builder.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { absorbGains, fuseLayerNorm } from '../../../compiler/passes/layer-norm.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';

function normalise(g: GraphBuilder, x: Value, epsilon: number, axis = 1) {
  const centred = g.binary('Sub', x, g.reduce('ReduceMean', x, [axis], true));
  const variance = g.reduce('ReduceMean', g.binary('Mul', centred, centred), [axis], true);
  const shifted = g.binary('Add', variance, g.splat(epsilon, 'float32'));
  const inverse = g.unary('Reciprocal', g.unary('Sqrt', shifted));
  return { normalised: g.binary('Mul', centred, inverse), inverse };
}

test('the normalisation of rows is one operation that also gives the inverse deviation', async (t) => {
  const graph = makeGraph({ x: [5, 64] }, (g, { x }) => normalise(g, x!, 1e-5));
  const fused = removeDeadCode(fuseLayerNorm(graph));
  t.deepEqual(operatorsOf(fused), ['LayerNormalization']);
  t.true((await differenceAfter(graph, fused)) < 2e-6);
});

test('rows far from zero are normalised as exactly as written out', async (t) => {
  const graph = makeGraph({ x: [5, 64] }, (g, { x }) =>
    normalise(g, g.binary('Add', x!, g.splat(30, 'float32')), 1e-5),
  );
  const fused = removeDeadCode(fuseLayerNorm(graph));
  t.deepEqual(operatorsOf(fused), ['Add', 'LayerNormalization']);
  t.true((await differenceAfter(graph, fused)) < 1e-4);
});

test('a mean over another axis is not a layer norm', (t) => {
  const graph = makeGraph({ x: [5, 64] }, (g, { x }) => normalise(g, x!, 1e-5, 0));
  t.deepEqual(operatorsOf(fuseLayerNorm(graph)), operatorsOf(graph));
});

test('a deviation of one tensor times another tensor is left alone', async (t) => {
  const graph = makeGraph({ x: [5, 64], y: [5, 64] }, (g, { x, y }) => ({
    z: g.binary('Mul', y!, normalise(g, x!, 1e-5).inverse),
  }));
  const fused = removeDeadCode(fuseLayerNorm(graph));
  t.deepEqual(operatorsOf(fused), ['LayerNormalization', 'Mul']);
  t.true((await differenceAfter(graph, fused)) < 2e-6);
});

test('gain and bias are part of a normalisation that nothing else reads', async (t) => {
  const graph = makeGraph({ x: [5, 64], gain: [64], bias: [64] }, (g, { x, gain, bias }) => ({
    y: g.binary('Add', bias!, g.binary('Mul', normalise(g, x!, 1e-5).normalised, gain!)),
  }));
  const absorbed = removeDeadCode(absorbGains(fuseLayerNorm(graph)));
  t.deepEqual(operatorsOf(absorbed), ['LayerNormalization']);
  t.true((await differenceAfter(graph, absorbed)) < 2e-6);
});

test('a normalisation that a gradient reads keeps its gain apart', (t) => {
  const graph = makeGraph({ x: [5, 64], gain: [64], y: [5, 64] }, (g, { x, gain, y }) => {
    const { normalised, inverse } = normalise(g, x!, 1e-5);
    const other = normalise(g, y!, 1e-5);
    return {
      scaled: g.binary('Mul', normalised, gain!),
      normalised,
      otherScaled: g.binary('Mul', other.normalised, gain!),
      inverse: other.inverse,
      unused: inverse,
    };
  });
  const fused = fuseLayerNorm(graph);
  t.deepEqual(operatorsOf(absorbGains(fused)), operatorsOf(fused));
});
