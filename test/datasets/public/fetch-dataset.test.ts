import { execFileSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  type FetchOptions,
  fetchDataset,
  findPublicDataset,
} from '../../../datasets/public/fetch-dataset.ts';
import { type PublicDataset, publicDatasets } from '../../../datasets/public/public-datasets.ts';
import { unpackTar } from '../../../datasets/public/unpack-tar.ts';
import { DamagedDataError, UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { serve, someFile, startServer } from './file-server.ts';

const sleep = async () => {};

function datasetOf(files: PublicDataset['files']): PublicDataset {
  return { name: 'some', title: 'Some', licence: 'any', homepage: 'none', files };
}

async function fetchTo(
  folder: string,
  dataset: PublicDataset,
  options: Partial<FetchOptions> = {},
) {
  return await fetchDataset(dataset, { folder, deadlineMs: 30_000, sleep, ...options });
}

test('files come into the folder once; what is there and right stays', async (t) => {
  const { content, expected } = someFile(10_000);
  const server = await startServer(t, (request, response) => serve(content, request, response));
  const dataset = datasetOf([
    { file: 'a.bin', url: `${server.url}/a.bin`, ...expected },
    { file: 'b.bin', url: `${server.url}/b.bin` },
  ]);
  const folder = join(await temporaryFolder(t), 'new', 'folder');
  const first = await fetchTo(folder, dataset);
  t.deepEqual(first, [
    { file: 'a.bin', outcome: 'fetched', ...expected, verified: true },
    { file: 'b.bin', outcome: 'fetched', ...expected, verified: false },
  ]);
  t.deepEqual((await readdir(folder)).sort(), ['a.bin', 'b.bin']);
  const second = await fetchTo(folder, dataset);
  // What has no checksum can't be known to be right.
  t.deepEqual(
    second.map(({ outcome }) => outcome),
    ['present', 'fetched'],
  );
  await writeFile(join(folder, 'a.bin'), 'changed');
  t.is((await fetchTo(folder, dataset))[0]!.outcome, 'fetched');
});

async function makeArchive(t: ExecutionContext, packed: boolean): Promise<Buffer> {
  const folder = await temporaryFolder(t, {
    'inside/one.bin': Buffer.alloc(700, 1),
    'inside/two.bin': Buffer.alloc(3 << 20, 2),
    'inside/empty.txt': '',
    'inside/other.txt': 'not wanted',
  });
  const flags = packed ? ['-czf'] : ['-cf'];
  execFileSync('tar', [...flags, 'archive', 'inside'], { cwd: folder });
  return await readFile(join(folder, 'archive'));
}

test('an archive is unpacked, removed, and not fetched again while its files are there', async (t) => {
  const archive = await makeArchive(t, true);
  const server = await startServer(t, (request, response) => serve(archive, request, response));
  const unpack = ['one.bin', 'two.bin', 'empty.txt'];
  const dataset = datasetOf([{ file: 'some.tar.gz', url: `${server.url}/x.tar.gz`, unpack }]);
  const folder = await temporaryFolder(t);
  t.like((await fetchTo(folder, dataset))[0], { outcome: 'fetched', bytes: archive.length });
  t.deepEqual((await readdir(folder)).sort(), ['empty.txt', 'fetched.json', 'one.bin', 'two.bin']);
  t.deepEqual(await readFile(join(folder, 'one.bin')), Buffer.alloc(700, 1));
  t.true((await readFile(join(folder, 'two.bin'))).equals(Buffer.alloc(3 << 20, 2)));
  t.like((await fetchTo(folder, dataset))[0], { outcome: 'present', bytes: archive.length });
  t.is(server.requests.length, 1);
  await rm(join(folder, 'two.bin'));
  t.like((await fetchTo(folder, dataset))[0], { outcome: 'fetched' });
});

test('an archive that lacks a file, is none or is cut is refused', async (t) => {
  const archive = await makeArchive(t, false);
  const refuses = async (content: Uint8Array, names: readonly string[], message: RegExp) => {
    const folder = await temporaryFolder(t, { 'a.tar': content });
    const unpacking = unpackTar(join(folder, 'a.tar'), folder, names);
    await t.throwsAsync(unpacking, { message });
    t.false((await readdir(folder)).some((name) => name.endsWith('.part')));
  };
  await refuses(archive, ['one.bin', 'three.bin'], /a\.tar lacks three\.bin/);
  await refuses(Buffer.alloc(2000, 65), ['one.bin'], /is no tar archive, or damaged/);
  const cut = archive.subarray(0, archive.indexOf(Buffer.alloc(100, 2)) + 1000);
  await refuses(cut, ['two.bin'], /ends too early/);
  const damaged = Buffer.from(archive);
  damaged[0]! ^= 1;
  await refuses(damaged, ['one.bin'], /is no tar archive, or damaged/);
});

test('nothing in an archive decides where a file goes', async (t) => {
  const outside = await temporaryFolder(t, { 'evil.bin': 'evil' });
  execFileSync('tar', ['-P', '-cf', 'archive', '../evil.bin'], {
    cwd: await (async () => {
      const inner = join(outside, 'inner');
      execFileSync('mkdir', [inner]);
      return inner;
    })(),
  });
  await rm(join(outside, 'evil.bin'));
  const folder = join(outside, 'inner');
  await unpackTar(join(folder, 'archive'), folder, ['evil.bin']);
  t.deepEqual((await readdir(folder)).sort(), ['archive', 'evil.bin']);
  t.deepEqual(await readdir(outside), ['inner']);
});

test('another address serves the same files', async (t) => {
  const { content, expected } = someFile(1000);
  const server = await startServer(t, (request, response) => serve(content, request, response));
  const dataset = datasetOf([
    { file: 'here.bin', url: 'https://nowhere.invalid/deep/there.bin', ...expected },
  ]);
  await fetchTo(await temporaryFolder(t), dataset, { from: `${server.url}/mirror` });
  t.is(server.requests[0]!.url, '/mirror/there.bin');
  const wrong = fetchTo(await temporaryFolder(t), dataset, { from: 'ftp://here' });
  await t.throwsAsync(wrong, {
    instanceOf: UserInputError,
    message: /'ftp:\/\/here' is no address/,
  });
});

test('a folder that can not be made is named', async (t) => {
  const folder = await temporaryFolder(t, { file: '' });
  await t.throwsAsync(fetchTo(join(folder, 'file'), datasetOf([])), {
    instanceOf: UserInputError,
    message: /can't use the folder .*file/,
  });
});

test('the catalogue is sound: addresses, names and checksums are what they claim', (t) => {
  t.is(new Set(publicDatasets.map(({ name }) => name)).size, publicDatasets.length);
  for (const { name, licence, homepage, files } of publicDatasets) {
    t.true(licence.length > 0 && URL.canParse(homepage), name);
    for (const { file, url, sha256, md5, bytes } of files) {
      t.regex(file, /^[\w.-]+$/);
      t.regex(url, /^https?:\/\//);
      t.true(sha256 === undefined || /^[0-9a-f]{64}$/.test(sha256), file);
      t.true(md5 === undefined || /^[0-9a-f]{32}$/.test(md5), file);
      // Over a connection that anybody can change, only what can be checked.
      t.true(url.startsWith('https:') || (sha256 !== undefined && bytes !== undefined), file);
    }
  }
  t.throws(() => findPublicDataset('none'), {
    instanceOf: UserInputError,
    message: /no data set 'none': it is one of adult, mnist/,
  });
});

test('what is damaged is not unpacked', async (t) => {
  const archive = await makeArchive(t, true);
  const server = await startServer(t, (request, response) => serve(archive, request, response));
  const folder = await temporaryFolder(t);
  const sha256 = '0'.repeat(64);
  const file = { file: 'some.tar.gz', url: server.url, unpack: ['one.bin'], sha256 };
  await t.throwsAsync(fetchTo(folder, datasetOf([file])), { instanceOf: DamagedDataError });
  t.deepEqual(await readdir(folder), []);
});
