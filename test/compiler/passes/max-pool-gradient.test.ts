import test from 'ava';
import type { Graph } from '../../../compiler/graph.ts';
import { conv2dWindows } from '../../../compiler/kernels/convolution.ts';
import { lowerConvolutions } from '../../../compiler/passes/lower-convolutions.ts';
import { differenceAfter, feedsFor, makeGraph, operatorsOf } from '../graphs.ts';

const channels = 3;

function gradientGraph(
  images: readonly [number, number, number],
  window: readonly [number, number],
  strides: number,
  pad: 'same' | 'valid',
): Graph {
  const shape = [...images, channels];
  const windows = conv2dWindows(shape, [...window, channels, channels], { strides, pad });
  const results = [images[0], ...windows.outSizes, channels];
  return makeGraph({ dy: results, x: shape }, (graph, { dy, x }) => ({
    dx: graph.add('MaxPoolGradient', [dy!, x!], x!, { ...windows }),
  }));
}

const geometries: Record<string, Parameters<typeof gradientGraph>> = {
  'windows side by side': [[2, 4, 6], [2, 2], 2, 'valid'],
  'overlapping windows': [[2, 7, 6], [3, 3], 2, 'same'],
  'strides of 1': [[1, 5, 4], [2, 3], 1, 'valid'],
  'strides wider than the window': [[1, 7, 8], [1, 2], 3, 'valid'],
};

for (const [name, geometry] of Object.entries(geometries)) {
  test(`the gradient of max pooling needs no indices on a device: ${name}`, async (t) => {
    const graph = gradientGraph(...geometry);
    const onDevice = lowerConvolutions(graph, 'any');
    const onProcessor = lowerConvolutions(graph, { channelBlock: 1 });
    t.true(operatorsOf(onProcessor).includes('MaxPool'));
    t.false(operatorsOf(onDevice).some((operator) => /MaxPool|Scatter/.test(operator)));
    t.true((await differenceAfter(onProcessor, onDevice)) < 1e-6);
    // Of equal elements the first one gets it all.
    const feeds = feedsFor(graph);
    const equal = { ...feeds, x: feeds.x!.map((each) => Math.round(2 * each)) };
    t.true((await differenceAfter(onProcessor, onDevice, equal)) < 1e-6);
  });
}
