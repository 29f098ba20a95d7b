import { join } from 'node:path';
import test from 'ava';
import { encode as encodePng } from 'fast-png';
import jpeg from 'jpeg-js';
import { decodeImage } from '../../../datasets/images/image-decoder.ts';
import { openImageFolder } from '../../../datasets/images/image-folder.ts';
import { prepareImages } from '../../../datasets/images/image-preparation.ts';
import { UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

type Png = Parameters<typeof encodePng>[0];

function png(values: readonly number[], channels: number, size = 2, depth?: 8 | 16): Uint8Array {
  const data = depth === 16 ? Uint16Array.from(values) : Uint8Array.from(values);
  return encodePng({
    width: size,
    height: values.length / channels / size,
    data,
    channels,
    depth: depth ?? 8,
  } as Png);
}

const PALETTE_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAMAAADD/I+4AAAABlBMVEX/AAAAAP9sof2OAAAAC0lEQVR4nGNgZAAAAAUAAtFmM3gAAAAASUVORK5CYII=';
const TWO_BIT_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAMAAAABAgAAAAB0O1PJAAAACklEQVR4nGOQAQAAHgAd5rBLVgAAAABJRU5ErkJggg==';

const grey = png([0, 50, 100, 150], 1);

test('PNG of every kind is decoded to 8 bits of grey or colour', (t) => {
  const decoded = (bytes: Uint8Array) => {
    const { height, width, channels, pixels } = decodeImage(bytes);
    return [height, width, channels, ...pixels];
  };
  t.deepEqual(decoded(grey), [2, 2, 1, 0, 50, 100, 150]);
  t.deepEqual(decoded(png([1, 2, 3, 4, 5, 6], 3)), [1, 2, 3, 1, 2, 3, 4, 5, 6]);
  // Transparency is left out.
  t.deepEqual(decoded(png([1, 2, 3, 99, 4, 5, 6, 99], 4)), [1, 2, 3, 1, 2, 3, 4, 5, 6]);
  t.deepEqual(decoded(png([7, 99, 8, 99], 2)), [1, 2, 1, 7, 8]);
  t.deepEqual(decoded(png([0x1234, 0xff00], 1, 2, 16)), [1, 2, 1, 0x12, 0xff]);
});

test('PNG with a palette, and of few bits, is decoded too', (t) => {
  // Made by another encoder: 2 × 1 pixels, blue and red of a palette; 3 × 1 grey pixels of 2 bits, 0 1 3.
  const palette = Buffer.from(PALETTE_PNG, 'base64');
  t.deepEqual([...decodeImage(palette).pixels], [0, 0, 255, 255, 0, 0]);
  t.deepEqual([...decodeImage(Buffer.from(TWO_BIT_PNG, 'base64')).pixels], [0, 85, 255]);
});

test('JPEG is decoded to colours', (t) => {
  const data = Buffer.alloc(4 * 64, 200);
  const { height, width, channels, pixels } = decodeImage(
    jpeg.encode({ width: 8, height: 8, data }, 95).data,
  );
  t.deepEqual([height, width, channels, pixels.length], [8, 8, 3, 192]);
  t.true(pixels.every((value) => Math.abs(value - 200) < 4));
});

test('what is no image, damaged or far too large is said so', (t) => {
  t.throws(() => decodeImage(Buffer.from('GIF89a')), { message: 'it is neither PNG nor JPEG' });
  const damaged = Uint8Array.from(grey);
  damaged[damaged.length - 20]! ^= 1;
  t.throws(() => decodeImage(damaged));
  t.throws(() => decodeImage(grey.subarray(0, 12)), { message: /ends too early/ });
  const huge = Buffer.from(grey);
  huge.writeUInt32BE(50_000, 16);
  huge.writeUInt32BE(50_000, 20);
  t.throws(() => decodeImage(huge), { message: /50000 × 50000 pixels, over 64 million/ });
  const photo = jpeg.encode({ width: 8, height: 8, data: Buffer.alloc(256, 9) }).data;
  t.throws(() => decodeImage(photo.subarray(0, 100)));
});

test('subfolders are classes, in an order that the seed mixes', async (t) => {
  const files: Record<string, Uint8Array> = { 'notes.txt': Buffer.from('x') };
  for (let index = 0; index < 8; index++) {
    files[`cats/${index}.png`] = png([index, 0, 0, 0], 1);
    files[`dogs/${index}.PNG`] = png([100 + index, 0, 0, 0], 1);
  }
  files['dogs/readme.txt'] = Buffer.from('x');
  const folder = await temporaryFolder(t, files);
  const read = async (seed: number) => {
    const source = await openImageFolder(folder, { seed });
    t.deepEqual(source.classes, ['cats', 'dogs']);
    t.is(source.count, 16);
    const found: string[] = [];
    for await (const image of source.images()) {
      if ('pixels' in image) found.push(`${image.label}:${image.pixels[0]}`);
    }
    return found;
  };
  const first = await read(1);
  t.deepEqual(await read(1), first);
  t.notDeepEqual(await read(2), first);
  t.deepEqual((await read(2)).sort(), [...first].sort());
  t.true(new Set(first.slice(0, 8).map((one) => one[0])).size === 2, 'classes are mixed');
});

test('images of another size or without sense are bad rows, to stop at or to leave out', async (t) => {
  const files = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`${i % 2 ? 'a' : 'b'}/${i}.png`, grey]),
  );
  const folder = await temporaryFolder(t, { ...files, 'a/odd.png': png([1, 2], 1) });
  const prepare = async (onBadRow: 'stop' | 'skip') =>
    await prepareImages({
      source: await openImageFolder(folder),
      split: { replicas: 1, heldOutFraction: 0.3, seed: 1 },
      onBadRow,
      directory: await temporaryFolder(t),
    });
  await t.throwsAsync(prepare('stop'), {
    instanceOf: UserInputError,
    message: /odd\.png: it has 2 × 1 pixels, others 2 × 2\. Mend it/,
  });
  t.is((await prepare('skip')).skipped.rows, 1);
});

test('grey among colour becomes colour', async (t) => {
  const folder = await temporaryFolder(t, {
    'a/1.png': png([1, 2, 3, 4, 5, 6], 3, 1),
    'b/1.png': png([9, 8], 1, 1),
  });
  const source = await openImageFolder(folder);
  t.is(source.channels, 3);
  for await (const image of source.images()) {
    if ('pixels' in image && image.label === 1) t.deepEqual([...image.pixels], [9, 9, 9, 8, 8, 8]);
  }
});

test('folders without classes or images are refused', async (t) => {
  const refuses = async (files: Record<string, string>, message: RegExp) => {
    const folder = await temporaryFolder(t, files);
    await t.throwsAsync(openImageFolder(folder), { instanceOf: UserInputError, message });
  };
  await refuses({ 'only/1.png': 'x' }, /has 1 subfolders with images/);
  await refuses({ 'a/x.txt': '', 'b/x.txt': '' }, /has no PNG or JPEG in its subfolders/);
  await refuses(
    { 'a/1.png': 'x', 'b/1.png': 'x' },
    /none of 2 images can be read\. The first: .*neither/,
  );
  const none = join(await temporaryFolder(t), 'none');
  await t.throwsAsync(openImageFolder(none), { message: /there is no such file or folder/ });
});
