import { join } from 'node:path';
import test from 'ava';
import { prepareImages } from '../../../datasets/images/image-preparation.ts';
import { shapeClasses, shapeImages } from '../../../datasets/images/shape-images.ts';
import { openDataset, openRecords } from '../../../datasets/prepared/dataset.ts';
import { normalisePixels, openRecordBatches } from '../../../datasets/prepared/dataset-batches.ts';
import { residualNetwork } from '../../../training/index.ts';
import { temporaryFolder } from '../temporary-folder.ts';

async function read(options: Parameters<typeof shapeImages>[0]) {
  const images: { pixels: Uint8Array; label: number }[] = [];
  for await (const image of shapeImages(options).images()) {
    if ('pixels' in image) images.push(image);
  }
  return images;
}

test('a seed draws the images, each class about as often as the others', async (t) => {
  const images = await read({ count: 2000, seed: 1, size: 16 });
  t.deepEqual(await read({ count: 2000, seed: 1, size: 16 }), images);
  t.notDeepEqual(await read({ count: 2000, seed: 2, size: 16 }), images);
  for (const label of shapeClasses.keys()) {
    const count = images.filter((image) => image.label === label).length;
    t.true(Math.abs(count - 200) < 60, shapeClasses[label]!);
  }
});

test('colour images have three channels, and wrong options are named', async (t) => {
  const [image] = await read({ count: 1, seed: 1, size: 8, channels: 3 });
  t.is(image!.pixels.length, 192);
  const refuses = (options: object, message: RegExp) =>
    t.throws(() => shapeImages({ count: 1, seed: 1, ...options }), {
      instanceOf: RangeError,
      message,
    });
  refuses({ count: 0 }, /count is 0/);
  refuses({ size: 7 }, /size is 7: it takes a whole number of 8 … 256/);
  refuses({ channels: 2 }, /channels is 2: it is 1 or 3/);
  refuses({ noise: 2 }, /noise is 2/);
});

test('the outlines of known images tell the class of others five times as often as chance', async (t) => {
  const train = await read({ count: 3000, seed: 1, size: 16, noise: 0.05 });
  const held = await read({ count: 300, seed: 2, size: 16, noise: 0.05 });
  // The nearest image by how many changes of brightness there are in each row and column, sorted.
  const profile = ({ pixels }: { pixels: Uint8Array }) => {
    const changes = (step: number, next: number) =>
      Array.from({ length: 16 }, (_, line) => {
        let count = 0;
        for (let place = 1; place < 16; place++) {
          const at = line * next + place * step;
          if (Math.abs(pixels[at]! - pixels[at - step]!) > 50) count++;
        }
        return count;
      }).sort((a, b) => b - a);
    return [...changes(1, 16), ...changes(16, 1)];
  };
  const known = train.map((image) => ({ profile: profile(image), label: image.label }));
  const distance = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
  const hits = held.filter((image) => {
    const mine = profile(image);
    let best = known[0]!;
    for (const one of known) {
      if (distance(one.profile, mine) < distance(best.profile, mine)) best = one;
    }
    return best.label === image.label;
  }).length;
  t.log({ accuracy: hits / held.length });
  t.true(hits / held.length > 0.5);
});

test('prepared images are normalised by the training part and fit the residual network', async (t) => {
  const directory = join(await temporaryFolder(t), 'prepared');
  const progress: number[] = [];
  const dataset = await prepareImages({
    source: shapeImages({ count: 400, seed: 1, size: 16, channels: 3 }),
    split: { replicas: 1, seed: 2 },
    directory,
    onProgress: ({ done }) => progress.push(done),
  });
  t.is(progress.at(-1), 400);
  const { features, classes } = await openDataset(directory);
  if (features.kind !== 'image') return t.fail();
  const file = await openRecords(dataset, dataset.shards[0]!);
  const images = normalisePixels((await file.readBlock(0)).pixels as Uint8Array, features);
  for (let channel = 0; channel < 3; channel++) {
    const values = images.filter((_, index) => index % 3 === channel);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    t.true(Math.abs(mean) < 1e-3 && Math.abs(variance - 1) < 1e-3);
  }
  const batches = await openRecordBatches({
    kind: 'records',
    directory,
    part: 0,
    batch: 8,
    seed: 1,
  });
  const network = residualNetwork({
    imageSize: 16,
    channels: 3,
    classes: classes.length,
    block: 'basic',
    stages: [1],
    width: 4,
    stem: 'small',
  });
  const targets = { shape: network.targetShape(8), dtype: 'int32' };
  t.deepEqual<object, object>(batches.columns, { ...network.inputs(8), targets });
  t.is((await batches.read(0)).columns.images!.length, 8 * 16 * 16 * 3);
});

test('training and held-out images of different sizes are refused', async (t) => {
  const preparing = prepareImages({
    source: shapeImages({ count: 10, seed: 1, size: 16 }),
    heldOutSource: shapeImages({ count: 10, seed: 1, size: 8 }),
    split: { replicas: 1 },
    directory: await temporaryFolder(t),
  });
  await t.throwsAsync(preparing, { message: /are 16 × 16 × 1 .* but those held out 8 × 8 × 1/ });
});
