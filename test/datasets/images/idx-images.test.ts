import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import {
  fashionClasses,
  type IdxFiles,
  openIdxImages,
} from '../../../datasets/images/idx-images.ts';
import { prepareImages } from '../../../datasets/images/image-preparation.ts';
import type { ImageSource } from '../../../datasets/images/image-source.ts';
import type { ImageFeatures } from '../../../datasets/prepared/dataset.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

function idx(magic: number, sizes: readonly number[], body: readonly number[]): Buffer {
  const head = Buffer.alloc(4 + 4 * sizes.length);
  for (const [index, value] of [magic, ...sizes].entries()) head.writeUInt32BE(value, 4 * index);
  return Buffer.concat([head, Buffer.from(body)]);
}

async function writeFiles(
  t: ExecutionContext,
  images: Uint8Array,
  labels: Uint8Array,
): Promise<IdxFiles> {
  const folder = await temporaryFolder(t, { 'images.gz': gzipSync(images), labels });
  return { images: join(folder, 'images.gz'), labels: join(folder, 'labels') };
}

async function all(source: ImageSource) {
  const images = [];
  for await (const image of source.images()) images.push(image);
  return images;
}

const pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

test('images and labels come in their order, as often as asked', async (t) => {
  const files = await writeFiles(t, idx(0x803, [2, 2, 3], pixels), idx(0x801, [2], [7, 0]));
  const source = await openIdxImages(files);
  t.like(source, { height: 2, width: 3, channels: 1, count: 2 });
  for (let time = 0; time < 2; time++) {
    t.deepEqual(
      (await all(source)).map((image) => 'pixels' in image && [...image.pixels, image.label]),
      [
        [1, 2, 3, 4, 5, 6, 7],
        [7, 8, 9, 10, 11, 12, 0],
      ],
    );
  }
});

test('a label that no class has is a bad row', async (t) => {
  const files = await writeFiles(t, idx(0x803, [2, 2, 3], pixels), idx(0x801, [2], [3, 1]));
  const [bad, good] = await all(await openIdxImages({ ...files, classes: ['no', 'yes'] }));
  t.like(bad, { problem: 'the label 3 is none of 0 … 1' });
  t.like(bad, { where: `${files.labels}, row 1` });
  t.like(good, { label: 1 });
});

test('files of another format, too short or of different counts are refused', async (t) => {
  const images = idx(0x803, [2, 2, 3], pixels);
  const labels = idx(0x801, [2], [7, 0]);
  const refuses = async (files: IdxFiles, message: RegExp) => {
    const reading = async () => await all(await openIdxImages(files));
    await t.throwsAsync(reading, { instanceOf: UserInputError, message });
  };
  await refuses(await writeFiles(t, labels, labels), /is no IDX file of images: .* 0x00000803/);
  await refuses(await writeFiles(t, images, images), /is no IDX file of labels/);
  await refuses(
    await writeFiles(t, images, idx(0x801, [3], [1, 1, 1])),
    /has 2 images, but .* 3 labels/,
  );
  await refuses(
    await writeFiles(t, images.subarray(0, 24), labels),
    /ends too early: 2 bytes of 6/,
  );
  await refuses(await writeFiles(t, images.subarray(0, 22), labels), /it has 1 of the 2 that it/);
  await refuses(await writeFiles(t, idx(0x803, [2, 0, 3], []), labels), /images of 0 × 3/);
  await refuses(await writeFiles(t, images.subarray(0, 10), labels), /ends too early/);
  const here = await writeFiles(t, images, labels);
  await refuses({ ...here, images: `${here.images}x` }, /there is no such file/);
});

test('Fashion-MNIST is prepared from ../shared/data', async (t) => {
  const folder = new URL('../../../../shared/data/fashion-mnist', import.meta.url).pathname;
  if (!existsSync(folder)) {
    t.log('not tried: ../shared/data/fashion-mnist is not there');
    t.pass();
    return;
  }
  const open = (part: string) =>
    openIdxImages({
      images: join(folder, `${part}-images-idx3-ubyte.gz`),
      labels: join(folder, `${part}-labels-idx1-ubyte.gz`),
      classes: fashionClasses,
    });
  const dataset = await prepareImages({
    source: await open('train'),
    heldOutSource: await open('t10k'),
    split: { replicas: 2 },
    directory: await temporaryFolder(t),
  });
  t.is(dataset.shards[0]!.rows + dataset.shards[1]!.rows, 60_000);
  t.is(dataset.heldOut.rows, 10_000);
  const { mean, deviation } = dataset.features as ImageFeatures;
  // What everybody normalises it with.
  t.is(mean[0]!.toFixed(4), '0.2860');
  t.is(deviation[0]!.toFixed(4), '0.3530');
});
