import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { searchNatsServer } from '../../../cli/server/nats-server-binary.ts';

const SCRIPT = '#!/bin/sh\necho nats-server: v2.11.3\n';

async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'codistill-test-'));
  t.teardown(() => rm(folder, { recursive: true }));
  return folder;
}

async function writeServer(folder: string, script = SCRIPT): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'nats-server');
  await writeFile(path, script);
  await chmod(path, 0o755);
  return path;
}

test('a nats-server is taken from the variable, then PATH, then the caches', async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string): string => join(folder, name);
  const cache = at('cache');
  const surroundings = { PATH: at('path'), XDG_CACHE_HOME: at('user') };
  const named = await writeServer(at('named'));
  const search = (environment: Record<string, string>) => searchNatsServer({ environment, cache });
  const inUserCache = await writeServer(at('user/codistill'));
  t.is(await search(surroundings), inUserCache);
  const inCache = await writeServer(cache);
  t.is(await search(surroundings), inCache);
  const inPath = await writeServer(at('path'));
  t.is(await search(surroundings), inPath);
  t.is(await search({ ...surroundings, CODISTILL_NATS_SERVER: named }), named);
  await t.throwsAsync(search({ ...surroundings, CODISTILL_NATS_SERVER: at('none') }), {
    message: /CODISTILL_NATS_SERVER is .*none, which does not run/,
  });
});

test('a server that is too old is passed over, and refused where the variable names it', async (t) => {
  const folder = await temporaryFolder(t);
  const old = await writeServer(join(folder, 'path'), '#!/bin/sh\necho nats-server: v2.10.27\n');
  const cache = join(folder, 'cache');
  const inCache = await writeServer(cache);
  const environment = { PATH: join(folder, 'path'), XDG_CACHE_HOME: join(folder, 'user') };
  t.is(await searchNatsServer({ environment, cache }), inCache);
  const named = { ...environment, CODISTILL_NATS_SERVER: old };
  await t.throwsAsync(searchNatsServer({ environment: named, cache }), {
    message: /v2\.10\.27; 2\.11 or later is needed/,
  });
});

/** A system with tar but without apt, and a server of releases; `sum` is what it lists. */
async function startReleases(t: ExecutionContext, sum?: string) {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'bin'));
  for (const tool of ['tar', 'gzip']) {
    const path = execFileSync('sh', ['-c', `command -v ${tool}`])
      .toString()
      .trim();
    await symlink(path, join(folder, 'bin', tool));
  }
  let made: Promise<{ readonly archive: Buffer; readonly name: string }> | undefined;
  const make = async (version: string) => {
    const cpu = process.arch === 'x64' ? 'amd64' : process.arch;
    const name = `nats-server-${version}-${process.platform}-${cpu}`;
    await writeServer(join(folder, name));
    execFileSync('tar', ['-czf', 'archive', name], { cwd: folder });
    return { archive: await readFile(join(folder, 'archive')), name };
  };
  const releases = createServer(async (request, response) => {
    const [version = '', file] = request.url!.split('/').slice(-2);
    made ??= make(version);
    const { archive, name } = await made;
    const real = createHash('sha256').update(archive).digest('hex');
    response.end(file === 'SHA256SUMS' ? `${sum ?? real}  ${name}.tar.gz\n` : archive);
  });
  releases.listen(0, '127.0.0.1');
  await once(releases, 'listening');
  t.teardown(() => releases.close());
  const { port } = releases.address() as { port: number };
  const environment = {
    PATH: join(folder, 'bin'),
    XDG_CACHE_HOME: join(folder, 'user'),
    CODISTILL_NATS_RELEASES: `http://127.0.0.1:${port}`,
  };
  return { environment, cache: join(folder, 'cache') };
}

test('a release is downloaded, checked and kept, also by two at once', async (t) => {
  const search = await startReleases(t);
  const paths = await Promise.all([searchNatsServer(search), searchNatsServer(search)]);
  const expected = join(search.cache, 'nats-server');
  t.deepEqual(paths, [expected, expected]);
  const offline = { ...search.environment, CODISTILL_NATS_RELEASES: 'http://127.0.0.1:1' };
  t.is(await searchNatsServer({ ...search, environment: offline }), expected);
});

test('where no nats-server can be had, the error tells what was tried and what to do', async (t) => {
  const search = await startReleases(t, '0'.repeat(64));
  const error = await t.throwsAsync(searchNatsServer(search));
  t.regex(error!.message, /PATH, .* hold none/);
  t.regex(error!.message, /Debian's package could not be had \(sid: .*apt-get ENOENT/);
  t.regex(error!.message, /has the SHA-256 [0-9a-f]{64}, not 0000/);
  t.regex(error!.message, /set CODISTILL_NATS_SERVER/);
});
