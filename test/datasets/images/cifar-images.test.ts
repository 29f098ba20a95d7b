import { join } from 'node:path';
import test from 'ava';
import { openCifarImages } from '../../../datasets/images/cifar-images.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

/** A record whose planes are of one value each. */
function record(label: number, red: number, green: number, blue: number): Buffer {
  const planes = [red, green, blue].map((value) => Buffer.alloc(1024, value));
  planes[0]![1] = 99;
  return Buffer.concat([Buffer.from([label]), ...planes]);
}

test('planes become pixels, through all files', async (t) => {
  const folder = await temporaryFolder(t, {
    'data_batch_1.bin': Buffer.concat([record(3, 1, 2, 3), record(10, 0, 0, 0)]),
    'data_batch_2.bin': record(9, 4, 5, 6),
  });
  const source = await openCifarImages(
    ['data_batch_1.bin', 'data_batch_2.bin'].map((name) => join(folder, name)),
  );
  t.like(source, { height: 32, width: 32, channels: 3, count: 3 });
  const images = [];
  for await (const image of source.images()) images.push(image);
  const [first, bad, last] = images;
  t.is(first && 'label' in first && first.label, 3);
  t.deepEqual(first && 'pixels' in first && [...first.pixels.subarray(0, 6)], [1, 2, 3, 99, 2, 3]);
  t.like(bad, { problem: 'the label 10 is none of 0 … 9' });
  t.regex((bad as { where: string }).where, /data_batch_1\.bin, row 2$/);
  t.deepEqual(last && 'pixels' in last && [...last.pixels.subarray(-3)], [4, 5, 6]);
});

test('a file that is none of whole records is refused', async (t) => {
  const folder = await temporaryFolder(t, { 'a.bin': record(1, 1, 1, 1).subarray(1), 'b.bin': '' });
  for (const name of ['a.bin', 'b.bin']) {
    await t.throwsAsync(openCifarImages([join(folder, name)]), {
      instanceOf: UserInputError,
      message: /is no file of CIFAR-10's binary version: it has \d+ bytes, not records of 3073/,
    });
  }
  await t.throwsAsync(openCifarImages([]), { instanceOf: UserInputError });
});
