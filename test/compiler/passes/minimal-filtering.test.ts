import test from 'ava';
import type { GraphNode, Value } from '../../../compiler/graph.ts';
import { conv2dWindows } from '../../../compiler/kernels/convolution.ts';
import {
  minimalConvolution,
  minimalFilterGradient,
  minimalInputGradient,
  suitsMinimalFiltering,
} from '../../../compiler/passes/minimal-filtering.ts';
import { differenceFromDefinition, type Geometry } from './convolution-reference.ts';

const TOLERANCE = 2e-6;

const geometries: Readonly<Record<string, Geometry>> = {
  'images of whole tiles': { images: [2, 4, 6, 3], filter: [3, 3, 3, 2] },
  'images of odd sizes': { images: [3, 5, 3, 2], filter: [3, 3, 2, 4] },
  'no padding': { images: [2, 6, 5, 2], filter: [3, 3, 2, 3], pad: 'valid' },
  'wide padding': { images: [1, 2, 3, 3], filter: [3, 3, 3, 2], pad: 2 },
  'a single place': { images: [2, 3, 3, 2], filter: [3, 3, 2, 2], pad: 'valid' },
};

for (const [name, geometry] of Object.entries(geometries)) {
  test(`minimal filtering is the convolution and its gradients by definition: ${name}`, async (t) => {
    for (const [map, build] of [
      ['convolution', minimalConvolution],
      ['inputGradient', minimalInputGradient],
      ['filterGradient', minimalFilterGradient],
    ] as const) {
      const difference = await differenceFromDefinition(map, geometry, build);
      t.true(difference < TOLERANCE, `${map}: ${difference}`);
    }
  });
}

function suits({ images, filter, strides = 1, dilations = 1, pad = 'same' }: Geometry): boolean {
  const windows = conv2dWindows(images, filter, { strides, dilations, pad });
  const value = (shape: readonly number[]): Value => ({ shape, dtype: 'float32' });
  const node: GraphNode = {
    operator: 'Convolution',
    inputs: [value(images), value(filter)],
    outputs: [],
    attributes: { ...windows },
  };
  return suitsMinimalFiltering(node, value(filter));
}

test('minimal filtering is for 3×3 windows over many channels of small images', (t) => {
  const good: Geometry = { images: [16, 4, 4, 64], filter: [3, 3, 64, 64] };
  t.true(suits(good));
  t.false(suits({ ...good, filter: [3, 1, 64, 64] }));
  t.false(suits({ ...good, strides: 2 }));
  t.false(suits({ ...good, dilations: 2 }));
  t.false(suits({ images: [16, 4, 4, 63], filter: [3, 3, 63, 64] }));
  t.false(suits({ ...good, filter: [3, 3, 64, 63] }));
  // Four tiles of each image: 60 rows are too few.
  t.false(suits({ ...good, images: [15, 4, 4, 64] }));
  t.false(suits({ ...good, images: [16, 8, 8, 64] }));
  t.true(suits({ images: [16, 8, 8, 256], filter: [3, 3, 256, 256] }));
});
