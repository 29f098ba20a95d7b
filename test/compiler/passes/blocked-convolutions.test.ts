import test from 'ava';
import { channelBlock } from '../../../compiler/channel-block.ts';
import { conv2dWindows } from '../../../compiler/kernels/convolution.ts';
import {
  blockedConvolution,
  blockedInputGradient,
  fewChannelConvolution,
  suitsBlocks,
  suitsFewChannels,
} from '../../../compiler/passes/blocked-convolutions.ts';
import { backwardWindows } from '../../../compiler/windows.ts';
import { differenceFromDefinition, type Geometry } from './convolution-reference.ts';

const TOLERANCE = 2e-6;

/** What the engine has here: 1 where it has no blocks, and nothing can be run in them. */
const block = await channelBlock();

const geometries: Readonly<Record<string, Geometry>> = {
  'padding all around': { images: [2, 5, 6, 32], filter: [3, 3, 32, 48] },
  'no padding': { images: [1, 5, 6, 48], filter: [3, 2, 48, 32], pad: 'valid' },
};

for (const [name, geometry] of Object.entries(geometries)) {
  test(`a convolution in blocks and its input's gradient are those by definition: ${name}`, async (t) => {
    if (block === 1) t.log('the engine has no blocked convolutions on this processor: none is run');
    const differences =
      block === 1
        ? []
        : [
            await differenceFromDefinition('convolution', geometry, (g, x, f, windows) =>
              blockedConvolution(g, x, f, windows, block),
            ),
            await differenceFromDefinition('inputGradient', geometry, (g, dy, f, windows) =>
              blockedInputGradient(g, dy, f, backwardWindows(windows)!, block),
            ),
          ];
    t.true(
      differences.every((each) => each < TOLERANCE),
      `${differences}`,
    );
  });
}

test('colours are read as they are, with strides too', async (t) => {
  if (block === 1) t.log('the engine has no blocked convolutions on this processor: none is run');
  for (const strides of block === 1 ? [] : [1, 2]) {
    const geometry: Geometry = { images: [2, 7, 6, 3], filter: [3, 3, 3, 32], strides };
    const difference = await differenceFromDefinition('convolution', geometry, (g, x, f, windows) =>
      fewChannelConvolution(g, x, f, windows, block),
    );
    t.true(difference < TOLERANCE, `${difference}`);
  }
  t.pass();
});

test('blocks are for two axes and whole numbers of them', (t) => {
  const of = (inputs: number, outputs: number) => {
    const shape = [3, 3, inputs, outputs] as const;
    const windows = conv2dWindows([1, 8, 8, inputs], shape, { strides: 1, pad: 'same' });
    return [{ shape, dtype: 'float32' }, windows] as const;
  };
  t.true(suitsBlocks(...of(16, 32), 16));
  t.false(suitsBlocks(...of(16, 24), 16));
  t.false(suitsBlocks(...of(8, 16), 16));
  t.false(suitsBlocks(...of(16, 16), 1));
  t.true(suitsFewChannels(...of(3, 16), 16));
  t.false(suitsFewChannels(...of(16, 16), 16));
  t.false(suitsFewChannels(...of(3, 24), 16));
});
