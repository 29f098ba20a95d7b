import test from 'ava';
import {
  productFilterGradient,
  productInputGradient,
  seenByChannels,
  seenThrough,
} from '../../../compiler/passes/convolution-products.ts';
import { differenceFromDefinition, type Geometry } from './convolution-reference.ts';

const TOLERANCE = 2e-6;

const geometries: Readonly<Record<string, Geometry>> = {
  'padding all around': { images: [2, 4, 5, 3], filter: [3, 3, 3, 2] },
  'strides of 2 on odd sizes': { images: [2, 5, 7, 2], filter: [3, 2, 2, 3], strides: 2 },
  'strides wider than the window': {
    images: [1, 7, 8, 2],
    filter: [2, 1, 2, 2],
    strides: 3,
    pad: 'valid',
  },
  'wide padding': { images: [3, 2, 1, 2], filter: [2, 3, 2, 2], pad: 2 },
  'single elements': { images: [2, 3, 4, 3], filter: [1, 1, 3, 2] },
};
const dilated: Geometry = { images: [2, 5, 9, 3], filter: [3, 3, 3, 2], dilations: 2 };
const beyond: Geometry = { ...dilated, dilations: 6 };

for (const [name, geometry] of Object.entries({ ...geometries, dilated, beyond })) {
  test(`what a window sees, times the filter, is the convolution: ${name}`, async (t) => {
    const difference = await differenceFromDefinition('convolution', geometry, (g, x, f, windows) =>
      g.gemm(
        seenThrough(g, x, windows),
        g.reshape(f, [f.shape.slice(0, 3).reduce((a, b) => a * b), f.shape[3]!]),
      ),
    );
    t.true(difference < TOLERANCE, `${difference}`);
  });

  test(`a filter's gradient is made of products in both ways: ${name}`, async (t) => {
    const byPlace = await differenceFromDefinition(
      'filterGradient',
      geometry,
      productFilterGradient,
    );
    t.true(byPlace < TOLERANCE, `${byPlace}`);
    const byChannels = await differenceFromDefinition(
      'filterGradient',
      geometry,
      (g, x, dy, windows) =>
        g.gemm(
          seenByChannels(g, x, windows),
          g.reshape(dy, [dy.shape.slice(0, 3).reduce((a, b) => a * b), dy.shape[3]!]),
        ),
    );
    t.true(byChannels < TOLERANCE, `${byChannels}`);
  });
}

for (const [name, geometry] of Object.entries(geometries)) {
  test(`an input's gradient is one product, added up where the window read: ${name}`, async (t) => {
    const difference = await differenceFromDefinition(
      'inputGradient',
      geometry,
      (g, dy, f, windows) =>
        productInputGradient(
          g,
          dy,
          g.reshape(f, [f.shape.slice(0, 3).reduce((a, b) => a * b), f.shape[3]!]),
          windows,
        ),
    );
    t.true(difference < TOLERANCE, `${difference}`);
  });
}
