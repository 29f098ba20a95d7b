import test from 'ava';
import { channelBlock } from '../../../compiler/channel-block.ts';
import type { Graph } from '../../../compiler/graph.ts';
import { conv2dWindows } from '../../../compiler/kernels/convolution.ts';
import { shareCommonSubexpressions } from '../../../compiler/passes/common-subexpressions.ts';
import { removeDeadCode } from '../../../compiler/passes/dead-code.ts';
import { lowerConvolutions } from '../../../compiler/passes/lower-convolutions.ts';
import { differenceAfter, makeGraph, operatorsOf } from '../graphs.ts';
import type { Geometry } from './convolution-reference.ts';

type Operator = 'Convolution' | 'ConvolutionInputGradient' | 'ConvolutionFilterGradient';

function convolutionGraph(operator: Operator, geometry: Geometry): Graph {
  const { images, filter, strides = 1, dilations = 1, pad = 'same' } = geometry;
  const windows = conv2dWindows(images, filter, { strides, dilations, pad });
  const results = [images[0], ...windows.outSizes, filter[3]];
  const shapes = {
    Convolution: [images, filter, results],
    ConvolutionInputGradient: [results, filter, images],
    ConvolutionFilterGradient: [images, results, filter],
  } as const;
  const [a, b, shape] = shapes[operator];
  return makeGraph({ a, b }, (graph, inputs) => ({
    y: graph.add(operator, [inputs.a!, inputs.b!], { shape, dtype: 'float32' }, { ...windows }),
  }));
}

const geometries: Readonly<Record<string, Geometry>> = {
  '3×3 windows': { images: [2, 3, 5, 3], filter: [3, 3, 3, 4] },
  'strides of 2': { images: [2, 6, 8, 3], filter: [3, 3, 3, 4], strides: 2 },
  'strides of 2 on odd sizes, without padding': {
    images: [2, 8, 5, 2],
    filter: [3, 2, 2, 3],
    strides: 2,
    pad: 'valid',
  },
  'strides as wide as the window and wider': {
    images: [1, 7, 8, 2],
    filter: [2, 1, 2, 2],
    strides: 3,
    pad: 'valid',
  },
  'wide padding': { images: [3, 2, 1, 2], filter: [2, 3, 2, 2], pad: 1 },
  'single elements with strides of 2': { images: [2, 5, 4, 3], filter: [1, 1, 3, 2], strides: 2 },
  'many channels of small images': { images: [17, 4, 4, 64], filter: [3, 3, 64, 65] },
  'many channels of images of odd sizes': {
    images: [16, 3, 5, 66],
    filter: [3, 3, 66, 64],
    pad: 'valid',
  },
  'many channels with wide padding': { images: [8, 3, 4, 64], filter: [3, 3, 64, 64], pad: 2 },
};

const processor = { channelBlock: 1 };

const operators = ['Convolution', 'ConvolutionInputGradient', 'ConvolutionFilterGradient'] as const;
for (const [name, geometry] of Object.entries(geometries)) {
  for (const operator of operators) {
    test(`${operator} with ${name} is on a processor what it is elsewhere`, async (t) => {
      const graph = convolutionGraph(operator, geometry);
      const plain = removeDeadCode(lowerConvolutions(graph, 'any'));
      const lowered = removeDeadCode(lowerConvolutions(graph, processor));
      t.false(operatorsOf(lowered).some((each) => each.startsWith('Conv')));
      const difference = await differenceAfter(plain, lowered);
      t.true(difference < 2e-6, `${difference}`);
    });
  }
}

const filter = [3, 3, 32, 4] as const;
const gradientGeometries: Readonly<Record<string, Geometry>> = {
  'strides of 1': { images: [2, 9, 8, 32], filter },
  'strides of 2 on odd sizes': { images: [2, 17, 18, 32], filter, strides: 2 },
  'strides wider than the window': {
    images: [2, 33, 36, 32],
    filter: [2, 3, 32, 2],
    strides: 4,
    pad: 'valid',
  },
  'wide padding': { images: [1, 9, 8, 32], filter, pad: 2 },
  'dilations that reach past the image': { images: [2, 5, 9, 32], filter, dilations: 6 },
};

for (const [name, geometry] of Object.entries(gradientGeometries)) {
  test(`a filter’s gradient with ${name} is a product for each place of the window`, async (t) => {
    const graph = convolutionGraph('ConvolutionFilterGradient', geometry);
    const plain = removeDeadCode(lowerConvolutions(graph, 'any'));
    const lowered = removeDeadCode(lowerConvolutions(graph, processor));
    t.true(operatorsOf(lowered).filter((operator) => operator === 'Gemm').length > 2);
    const difference = await differenceAfter(plain, lowered);
    t.true(difference < 2e-6, `${difference}`);
  });
}

test('large images go through the engine’s own convolutions', (t) => {
  const geometry: Geometry = { images: [1, 18, 20, 2], filter: [3, 3, 2, 3] };
  const lowered = (operator: Operator, strides: number) =>
    operatorsOf(lowerConvolutions(convolutionGraph(operator, { ...geometry, strides }), processor));
  t.true(lowered('Convolution', 1).includes('Conv'));
  t.true(lowered('ConvolutionInputGradient', 1).includes('Conv'));
  t.true(lowered('ConvolutionInputGradient', 2).includes('ConvTranspose'));
});

for (const [name, strides] of Object.entries({ 'strides of 1': 1, 'strides of 2': 2 })) {
  test(`large images whose channels make whole blocks are laid out in them, ${name}`, async (t) => {
    const geometry: Geometry = { images: [2, 18, 20, 32], filter: [3, 3, 32, 48], strides };
    // What the engine has here: without blocks the values are those of its other convolutions.
    const block = await channelBlock();
    for (const operator of ['Convolution', 'ConvolutionInputGradient'] as const) {
      const graph = convolutionGraph(operator, geometry);
      const blocked = lowerConvolutions(graph, { channelBlock: 16 });
      const isBlocked = operator === 'Convolution' || strides === 1;
      t.is(operatorsOf(blocked).includes('BlockedConv'), isBlocked);
      const plain = removeDeadCode(lowerConvolutions(graph, 'any'));
      const lowered = removeDeadCode(lowerConvolutions(graph, { channelBlock: block }));
      const difference = await differenceAfter(plain, lowered);
      t.true(difference < 2e-6, `${operator}: ${difference}`);
    }
  });
}

for (const inputs of [1, 3]) {
  test(`an image of ${inputs === 1 ? 'one channel' : 'colours'} is read as it is, and results in blocks`, async (t) => {
    const geometry: Geometry = { images: [2, 18, 20, inputs], filter: [3, 3, inputs, 32] };
    const graph = convolutionGraph('Convolution', geometry);
    const { nodes } = removeDeadCode(lowerConvolutions(graph, { channelBlock: 16 }));
    const operators = nodes.map(({ operator }) => operator);
    t.true(operators.includes('BlockedConv') && !operators.includes('ToBlocks'));
    const plain = removeDeadCode(lowerConvolutions(graph, 'any'));
    const lowered = removeDeadCode(
      lowerConvolutions(graph, { channelBlock: await channelBlock() }),
    );
    const difference = await differenceAfter(plain, lowered);
    t.true(difference < 2e-6, String(difference));
  });
}

test('a convolution and its gradients share the transforms of minimal filtering', (t) => {
  const shapes = { x: [32, 4, 4, 64], filter: [3, 3, 64, 64], dy: [32, 4, 4, 64] } as const;
  const windows = { ...conv2dWindows(shapes.x, shapes.filter, { strides: 1, pad: 'same' }) };
  const graph = makeGraph(shapes, (g, { x, filter, dy }) => ({
    y: g.add('Convolution', [x!, filter!], dy!, windows),
    dx: g.add('ConvolutionInputGradient', [dy!, filter!], x!, windows),
    dFilter: g.add('ConvolutionFilterGradient', [x!, dy!], filter!, windows),
  }));
  const lowered = lowerConvolutions(graph, processor);
  const shared = removeDeadCode(shareCommonSubexpressions(lowered));
  const count = (operator: string) =>
    operatorsOf(shared).filter((each) => each === operator).length;
  t.is(count('MatMul'), 3);
  // Into products: x, the filter, dy; out of them: y, dx and the filter's gradient.
  t.is(count('Gemm'), 6);
});
