import { mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { cacheFolder, FileCache } from '../file-cache.ts';

async function makeFolder() {
  const path = await mkdtemp(join(tmpdir(), 'codistill-cache-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const keyOf = (number: number) => number.toString(16).padStart(16, '0');
const bytesMax = 10_000;
const files = {
  'a.txt': Buffer.from('one'),
  b: new Uint8Array(1000).fill(7),
  empty: Buffer.alloc(0),
};

test('an entry comes back as it was written, in another cache over the same folder too', async (t) => {
  await using folder = await makeFolder();
  await new FileCache(folder.path, { bytesMax }).write(keyOf(1), files);
  const found = await new FileCache(folder.path, { bytesMax }).read(keyOf(1));
  t.deepEqual(Object.keys(found!), ['a.txt', 'b', 'empty']);
  t.is(Buffer.from(found!['a.txt']!).toString(), 'one');
  t.deepEqual(Uint8Array.from(found!.b!), files.b);
  t.is(await new FileCache(folder.path, { bytesMax }).read(keyOf(2)), undefined);
});

test('a damaged entry counts as absent, wherever a byte changed or is missing, and is removed', async (t) => {
  await using folder = await makeFolder();
  const cache = new FileCache(folder.path, { bytesMax });
  await cache.write(keyOf(1), { a: Buffer.from('some bytes') });
  const path = join(folder.path, `${keyOf(1)}.entry`);
  const whole = await readFile(path);
  for (let position = 0; position < whole.length; position++) {
    const damaged = Buffer.from(whole);
    damaged[position]! ^= 1;
    await writeFile(path, damaged);
    t.is(await cache.read(keyOf(1)), undefined, `byte ${position}`);
    t.deepEqual(await readdir(folder.path), []);
  }
  for (let length = 0; length < whole.length; length += 3) {
    await writeFile(path, whole);
    await truncate(path, length);
    t.is(await cache.read(keyOf(1)), undefined, `${length} bytes`);
  }
  await writeFile(path, whole);
  t.truthy(await cache.read(keyOf(1)));
});

test('beyond its size the entries that were not used for longest go', async (t) => {
  await using folder = await makeFolder();
  const cache = new FileCache(folder.path, { bytesMax: 3500 });
  const write = (number: number) => cache.write(keyOf(number), { b: new Uint8Array(1000) });
  for (const number of [1, 2, 3]) {
    await write(number);
    const longAgo = new Date(1e12 + 1e6 * number);
    await utimes(join(folder.path, `${keyOf(number)}.entry`), longAgo, longAgo);
  }
  t.truthy(await cache.read(keyOf(1)));
  await write(4);
  const left = (await readdir(folder.path)).sort();
  t.deepEqual(
    left,
    [1, 3, 4].map((number) => `${keyOf(number)}.entry`),
  );
});

test('what is larger than the whole cache is not kept, other people’s files are let alone', async (t) => {
  await using folder = await makeFolder();
  await writeFile(join(folder.path, 'mine.txt'), 'x'.repeat(5000));
  const cache = new FileCache(folder.path, { bytesMax: 2000 });
  await cache.write(keyOf(1), { b: new Uint8Array(2001) });
  t.is(await cache.read(keyOf(1)), undefined);
  await cache.write(keyOf(2), { b: new Uint8Array(10) });
  t.truthy(await cache.read(keyOf(2)));
  t.true((await readdir(folder.path)).includes('mine.txt'));
});

test('many writers of one key leave one whole entry and no drafts', async (t) => {
  await using folder = await makeFolder();
  const writers = Array.from({ length: 20 }, (_, index) =>
    new FileCache(folder.path, { bytesMax }).write(keyOf(1), {
      b: new Uint8Array(500).fill(index),
    }),
  );
  await Promise.all(writers);
  const { b } = (await new FileCache(folder.path, { bytesMax }).read(keyOf(1)))!;
  t.true(b!.every((byte) => byte === b![0]));
  t.deepEqual(await readdir(folder.path), [`${keyOf(1)}.entry`]);
});

test('a folder that can’t be made makes nothing fail', async (t) => {
  await using folder = await makeFolder();
  const path = join(folder.path, 'a-file');
  await writeFile(path, '');
  const cache = new FileCache(join(path, 'below'), { bytesMax });
  await cache.write(keyOf(1), files);
  t.is(await cache.read(keyOf(1)), undefined);
});

test('a key is no path', async (t) => {
  const cache = new FileCache('/nowhere', { bytesMax });
  await t.throwsAsync(cache.read('../../etc/passwd'), { instanceOf: RangeError });
});

test.serial('the cache’s folder follows the environment', (t) => {
  const { CODISTILL_CACHE, XDG_CACHE_HOME } = process.env;
  t.teardown(() => {
    Object.assign(process.env, { CODISTILL_CACHE, XDG_CACHE_HOME });
    if (CODISTILL_CACHE === undefined) delete process.env.CODISTILL_CACHE;
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
  });
  delete process.env.CODISTILL_CACHE;
  process.env.XDG_CACHE_HOME = '/home/cache';
  t.is(cacheFolder('steps'), '/home/cache/codistill/steps');
  process.env.CODISTILL_CACHE = '/elsewhere';
  t.is(cacheFolder('steps'), '/elsewhere/steps');
  process.env.CODISTILL_CACHE = 'off';
  t.is(cacheFolder('steps'), undefined);
});
