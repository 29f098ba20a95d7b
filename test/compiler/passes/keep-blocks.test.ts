import test from 'ava';
import { channelBlock } from '../../../compiler/channel-block.ts';
import type { Graph, Value } from '../../../compiler/graph.ts';
import type { GraphBuilder } from '../../../compiler/graph-builder.ts';
import { conv2dWindows } from '../../../compiler/kernels/convolution.ts';
import { absorbBlockedEpilogues } from '../../../compiler/passes/blocked-epilogues.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { keepBlocks } from '../../../compiler/passes/keep-blocks.ts';
import { lowerConvolutions } from '../../../compiler/passes/lower-convolutions.ts';
import { sizeOf } from '../../../compiler/tensor-spec.ts';
import { differenceAfter, feedsFor, makeGraph, operatorsOf, runGraph } from '../graphs.ts';

const IMAGES = [2, 10, 12, 16] as const;
const FILTER = [3, 3, 16, 16] as const;
const COLUMN = [16] as const;

function convolve(g: GraphBuilder, x: Value, filter: Value): Value {
  const windows = conv2dWindows(IMAGES, FILTER, { strides: 1, pad: 'same' });
  return g.add('Convolution', [x, filter], { shape: IMAGES, dtype: 'float32' }, { ...windows });
}

/** Between two convolutions: rows of channels, normalised, and rectified. */
function normalised(g: GraphBuilder, x: Value, gain: Value, bias: Value): Value {
  const rows = g.reshape(x, [sizeOf(IMAGES) / 16, 16]);
  const centred = g.binary('Sub', rows, g.reduce('ReduceMean', rows, [0], false));
  const squares = g.reduce('ReduceSum', g.binary('Mul', centred, centred), [0], false);
  const deviation = g.unary('Sqrt', g.binary('Add', squares, g.splat(1, 'float32')));
  const scaled = g.binary('Mul', centred, g.binary('Div', gain, deviation));
  return g.reshape(g.binary('Add', scaled, bias), IMAGES);
}

const rectified = (g: GraphBuilder, x: Value) => g.binary('Max', x, g.splat(0, 'float32'));

/** What the engine has here: with blocks of one channel there is nothing to keep. */
async function differenceInBlocks(t: { log(line: string): void }, graph: Graph): Promise<number> {
  const block = await channelBlock();
  if (block === 1) t.log('the engine has no blocked convolutions on this processor');
  const lowered = lowerConvolutions(graph, { channelBlock: block });
  const kept = absorbBlockedEpilogues(keepBlocks(lowered));
  return differenceAfter(removeDeadCode(lowered), kept);
}

function inBlocks(graph: Graph): Graph {
  return absorbBlockedEpilogues(keepBlocks(lowerConvolutions(graph, { channelBlock: 16 })));
}

function count(graph: Graph, operator: string): number {
  return operatorsOf(graph).filter((each) => each === operator).length;
}

const residualBlock = makeGraph(
  { x: IMAGES, first: FILTER, second: FILTER, gain: COLUMN, bias: COLUMN },
  (g, { x, first, second, gain, bias }) => {
    const inner = rectified(g, normalised(g, convolve(g, x!, first!), gain!, bias!));
    const outer = normalised(g, convolve(g, inner, second!), gain!, bias!);
    return { y: convolve(g, rectified(g, g.binary('Add', outer, x!)), first!) };
  },
);

test('a residual block is laid out once, and its result once', async (t) => {
  const graph = inBlocks(residualBlock);
  t.is(count(graph, 'ToBlocks'), 1);
  t.is(count(graph, 'FromBlocks'), 1);
  const difference = await differenceInBlocks(t, residualBlock);
  t.true(difference < 2e-6, String(difference));
});

test('centring, scaling with all that follows it, and squares are three passes over a layer', (t) => {
  const graph = inBlocks(residualBlock);
  const onImages = graph.nodes.filter(({ outputs }) => sizeOf(outputs[0]!.shape) >= sizeOf(IMAGES));
  const passes = onImages.filter(({ operator }) => !['ToBlocks', 'FromBlocks'].includes(operator));
  // Three convolutions of windows, and two layers between them.
  t.deepEqual(
    passes.map(({ operator }) => operator),
    [0, 1]
      .flatMap(() => ['BlockedConv', 'BlockedConv', 'Mul', 'BlockedConv'])
      .concat('BlockedConv'),
  );
  t.is(passes.filter(({ attributes }) => attributes.activation === 'Relu').length, 2);
});

test('what is read in another way is laid out as it was', async (t) => {
  const graph = makeGraph({ x: IMAGES, filter: FILTER, row: [12, 16] }, (g, { x, filter, row }) => {
    const y = rectified(g, convolve(g, x!, filter!));
    return {
      y: convolve(g, y, filter!),
      moved: g.transpose(y, [3, 0, 1, 2]),
      rows: g.binary('Add', y, row!),
      sums: g.reduce('ReduceSum', y, [1, 2], false),
    };
  });
  const blocks = inBlocks(graph);
  t.is(count(blocks, 'ToBlocks'), 1);
  t.is(count(blocks, 'FromBlocks'), 2);
  const difference = await differenceInBlocks(t, graph);
  t.true(difference < 2e-6, String(difference));
});

test('differences of images and columns, either way round, and numbers', async (t) => {
  const shapes = { x: IMAGES, filter: FILTER, column: COLUMN, number: [1] } as const;
  const graph = makeGraph(shapes, (g, { x, filter, column, number }) => {
    const y = convolve(g, x!, filter!);
    const scaled = g.binary('Mul', convolve(g, x!, filter!), column!);
    return {
      ofColumn: convolve(g, g.binary('Sub', column!, y), filter!),
      minusColumn: convolve(g, g.binary('Sub', y, column!), filter!),
      minusScaled: convolve(g, g.binary('Sub', y, scaled), filter!),
      plusScaled: convolve(g, g.binary('Add', scaled, y), filter!),
      over: convolve(g, g.binary('Div', y, g.binary('Add', number!, number!)), filter!),
    };
  });
  const difference = await differenceInBlocks(t, graph);
  t.true(difference < 2e-6, String(difference));
});

test('the sum of a convolution that is read elsewhere too stays an operation', async (t) => {
  const graph = makeGraph({ x: IMAGES, filter: FILTER }, (g, { x, filter }) => {
    const y = convolve(g, x!, filter!);
    return { sum: convolve(g, g.binary('Add', y, x!), filter!), y };
  });
  t.is(count(inBlocks(graph), 'Add'), 1);
  const difference = await differenceInBlocks(t, graph);
  t.true(difference < 2e-6, String(difference));
});

test('an image of a single place is not taken for a number for each channel', async (t) => {
  const shape = [1, 1, 1, 16] as const;
  const windows = conv2dWindows(shape, FILTER, { strides: 1, dilations: 2, pad: 'same' });
  const graph = makeGraph({ x: shape, a: FILTER, b: FILTER }, (g, { x, a, b }) => {
    const [first, second] = [a!, b!].map((filter) =>
      g.add('Convolution', [x!, filter], { shape, dtype: 'float32' }, { ...windows }),
    );
    return { y: g.binary('Mul', first!, second!) };
  });
  t.is(count(inBlocks(graph), 'Mul'), 1);
  const difference = await differenceInBlocks(t, graph);
  t.true(difference < 2e-6, String(difference));
});

test('what is not a number stays so through a rectifier', async (t) => {
  const graph = makeGraph({ x: IMAGES, filter: FILTER, bias: COLUMN }, (g, { x, filter, bias }) => {
    const y = g.binary('Add', convolve(g, x!, filter!), bias!);
    return { y: convolve(g, rectified(g, y), filter!) };
  });
  const lowered = lowerConvolutions(graph, { channelBlock: await channelBlock() });
  const kept = absorbBlockedEpilogues(keepBlocks(lowered));
  const feeds = feedsFor(graph);
  feeds.bias!.fill(Number.NaN);
  const { y } = await runGraph(kept, feeds);
  t.true(y!.every((each) => Number.isNaN(each)));
});
