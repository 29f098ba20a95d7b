import { existsSync } from 'node:fs';
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type DownloadOptions, downloadFile } from '../../../datasets/public/download.ts';
import { DamagedDataError, DownloadError, UserInputError } from '../../../errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { serve, someFile, startServer } from './file-server.ts';

const { content, expected, md5 } = someFile(500_000);

async function download(
  t: ExecutionContext,
  url: string,
  options: Partial<DownloadOptions> & { readonly folder?: string } = {},
) {
  const folder = options.folder ?? (await temporaryFolder(t));
  const waits: number[] = [];
  const result = downloadFile({
    url,
    path: join(folder, 'file'),
    expected,
    deadlineMs: 30_000,
    sleep: async (ms) => {
      waits.push(ms);
    },
    ...options,
  });
  return { folder, waits, result };
}

/** Cuts a connection as soon as something of the answer has arrived. */
function createArrival() {
  let hasArrived = false;
  let cut: (() => void) | undefined;
  const check = () => {
    if (hasArrived) cut?.();
  };
  return {
    /** Of a request: nothing of its answer has arrived yet. */
    begin() {
      hasArrived = false;
      cut = undefined;
    },
    wait(next: () => void) {
      cut = next;
      check();
    },
    onProgress() {
      hasArrived = true;
      check();
    },
  };
}

/** The whole file is there, and nothing beside it. */
async function isWhole(t: ExecutionContext, folder: string): Promise<void> {
  t.deepEqual(await readdir(folder), ['file']);
  t.true((await readFile(join(folder, 'file'))).equals(content));
}

test('a file comes whole, checked, with progress', async (t) => {
  const server = await startServer(t, (request, response) => serve(content, request, response));
  const seen: (number | undefined)[][] = [];
  const { folder, result } = await download(t, server.url, {
    expected: { ...expected, md5 },
    onProgress: ({ done, total }) => seen.push([done, total]),
  });
  t.deepEqual(await result, expected);
  await isWhole(t, folder);
  t.deepEqual(seen.at(-1), [500_000, 500_000]);
  t.is(server.requests.length, 1);
});

test('after a cut the rest is asked for, and waits grow only where nothing comes', async (t) => {
  const arrival = createArrival();
  const server = await startServer(t, (request, response) => {
    arrival.begin();
    const { length } = server.requests;
    const cut = { cutAfter: 50_000, cutWhen: arrival.wait };
    if (length === 3 || length === 4) request.socket.destroy();
    else serve(content, request, response, length < 7 ? cut : {});
  });
  const { onProgress } = arrival;
  const { folder, waits, result } = await download(t, server.url, { onProgress });
  await result;
  await isWhole(t, folder);
  const ranges = server.requests.map(({ headers }) => headers.range);
  t.is(ranges[0], undefined);
  t.true(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range!)));
  t.deepEqual(waits, [1000, 1000, 2000, 4000, 1000, 1000]);
});

test('a server without ranges starts again from the beginning', async (t) => {
  const server = await startServer(t, (request, response) => {
    const cut = server.requests.length === 1 ? { cutAfter: 100_000 } : {};
    serve(content, request, response, { ranges: false, ...cut });
  });
  const { folder, result } = await download(t, server.url);
  await result;
  await isWhole(t, folder);
  t.is(server.requests.length, 2);
});

test('a part of an earlier download is gone on with, a whole one only checked', async (t) => {
  const server = await startServer(t, (request, response) => serve(content, request, response));
  const folder = await temporaryFolder(t, { 'file.part': content.subarray(0, 300_000) });
  await (await download(t, server.url, { folder })).result;
  t.deepEqual(
    server.requests.map(({ headers }) => headers.range),
    ['bytes=300000-'],
  );
  await isWhole(t, folder);
  const whole = await temporaryFolder(t, { 'file.part': content });
  await (await download(t, server.url, { folder: whole })).result;
  t.is(server.requests.length, 1);
  await isWhole(t, whole);
});

test('without a checksum a part is gone on with only while the server still has that version', async (t) => {
  const arrival = createArrival();
  let tag = '"one"';
  const server = await startServer(t, (request, response) => {
    arrival.begin();
    const cut = { cutAfter: 50_000, cutWhen: arrival.wait };
    serve(content, request, response, { tag, ...(server.requests.length === 1 && cut) });
  });
  const options = { expected: {}, attemptsMax: 1, onProgress: arrival.onProgress };
  const first = await download(t, server.url, options);
  await t.throwsAsync(first.result, { instanceOf: DownloadError });
  const { folder } = first;
  tag = '"two"';
  const second = await download(t, server.url, { ...options, folder });
  t.deepEqual(await second.result, expected);
  t.is(server.requests[1]!.headers['if-range'], '"one"');
  await isWhole(t, folder);
  // A part of which nothing is known is left alone.
  const unknown = await temporaryFolder(t, { 'file.part': 'something else' });
  await (await download(t, server.url, { ...options, folder: unknown })).result;
  t.is(server.requests[2]!.headers.range, undefined);
  await isWhole(t, unknown);
});

test('a part that the server knows to be whole is taken', async (t) => {
  const server = await startServer(t, (request, response) => serve(content, request, response));
  const folder = await temporaryFolder(t, { 'file.part': content });
  const { sha256 } = expected;
  await (await download(t, server.url, { folder, expected: { sha256 } })).result;
  await isWhole(t, folder);
  const longer = await temporaryFolder(t, { 'file.part': Buffer.concat([content, content]) });
  await (await download(t, server.url, { folder: longer, expected: { sha256 } })).result;
  await isWhole(t, longer);
});

test('a wrong checksum or size is refused, and nothing of it kept', async (t) => {
  const server = await startServer(t, (request, response) => serve(content, request, response));
  const refuses = async (wrong: DownloadOptions['expected'], message: RegExp) => {
    const { folder, result } = await download(t, server.url, { expected: wrong });
    await t.throwsAsync(result, { instanceOf: DamagedDataError, message });
    t.deepEqual(await readdir(folder), []);
  };
  const zeros = '0'.repeat(64);
  await refuses(
    { ...expected, sha256: zeros },
    new RegExp(`sha256 is ${expected.sha256}, exp.*0{64}`),
  );
  await refuses({ md5: zeros.slice(32) }, new RegExp(`md5 is ${md5}, expected 0{32}`));
  await refuses({ ...expected, bytes: 499_999 }, /it has 500000 bytes, expected 499999/);
});

test('an answer without a length that is too long is refused', async (t) => {
  const server = await startServer(t, (_, response) => {
    response.write(content);
    response.end(content);
  });
  const { folder, result } = await download(t, server.url);
  await t.throwsAsync(result, { instanceOf: DamagedDataError, message: /larger than the 500000/ });
  t.deepEqual(await readdir(folder), []);
});

test('what is not there is said at once, with the status', async (t) => {
  const server = await startServer(t, (_, response) => response.writeHead(404).end());
  const { result } = await download(t, server.url);
  await t.throwsAsync(result, {
    instanceOf: DownloadError,
    message: /the server answered 404 Not Found\. The publisher may have moved it; --from names/,
  });
  t.is(server.requests.length, 1);
});

test('a redirect is followed', async (t) => {
  const server = await startServer(t, (request, response) => {
    if (request.url === '/there') serve(content, request, response);
    else response.writeHead(302, { location: '/there' }).end();
  });
  const { folder, result } = await download(t, `${server.url}/here`);
  await result;
  await isWhole(t, folder);
});

test('a busy server is asked again, so often and no more', async (t) => {
  let busy = 3;
  const server = await startServer(t, (request, response) => {
    if (busy-- > 0) response.writeHead(503).end();
    else serve(content, request, response);
  });
  const { folder, waits, result } = await download(t, server.url);
  await result;
  await isWhole(t, folder);
  t.deepEqual(waits, [1000, 2000, 4000]);
  busy = 100;
  const vain = await download(t, server.url, { attemptsMax: 3 });
  await t.throwsAsync(vain.result, {
    instanceOf: DownloadError,
    message: /could not be had in 3 tries: the server answered 503 Service Unavailable\. What/,
  });
  t.deepEqual(vain.waits, [1000, 2000]);
});

test('a server that falls silent is left, and at the deadline all is over', async (t) => {
  const server = await startServer(t, (_, response) => {
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, 1000));
  });
  const silent = await download(t, server.url, { idleTimeoutMs: 100, attemptsMax: 2 });
  await t.throwsAsync(silent.result, { message: /the server was silent for 100 ms/ });
  const late = await download(t, server.url, { deadlineMs: 200 });
  await t.throwsAsync(late.result, {
    instanceOf: DownloadError,
    message: /did not come within 0 s\. What has come is kept/,
  });
});

test('who stops it gets their reason back, and can go on later', async (t) => {
  const controller = new AbortController();
  const server = await startServer(t, (request, response) => {
    if (server.requests.length > 1) return serve(content, request, response);
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, 1000));
  });
  const reason = new Error('enough');
  const { folder, result } = await download(t, server.url, {
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  });
  t.is(await t.throwsAsync(result), reason);
  await (await download(t, server.url, { folder })).result;
  t.is(server.requests[1]!.headers.range, 'bytes=1000-');
  await isWhole(t, folder);
});

test('a full disk is said to be full', async (t) => {
  if (!existsSync('/dev/full')) {
    t.log('not tried: this system has no /dev/full');
    t.pass();
    return;
  }
  const server = await startServer(t, (request, response) => serve(content, request, response));
  const folder = await temporaryFolder(t);
  await symlink('/dev/full', join(folder, 'file.part'));
  const { result } = await download(t, server.url, { folder });
  await t.throwsAsync(result, {
    instanceOf: UserInputError,
    message: /the disk is full\. Make room/,
  });
  await writeFile(join(folder, 'file'), '');
});

test('an unreachable server is told by what went wrong', async (t) => {
  const server = await startServer(t, (_, response) => response.end());
  const url = server.url.replace(/\d+$/, (port) => `${Number(port) === 65_535 ? 65_534 : 65_535}`);
  const { result } = await download(t, url, { attemptsMax: 2 });
  await t.throwsAsync(result, { instanceOf: DownloadError, message: /ECONNREFUSED/ });
});
