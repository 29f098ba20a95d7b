import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { BusUnavailableError, UserInputError } from '../../errors.ts';

const run = promisify(execFile);
const FETCH_TIMEOUT_MS = 120_000;
const RELEASE = 'v2.11.0';
const RELEASES_URL = 'https://github.com/nats-io/nats-server/releases/download';
const NAME = process.platform === 'win32' ? 'nats-server.exe' : 'nats-server';
const DEBIAN_SUITES = ['sid', 'trixie', 'bookworm'];
const DEBIAN_MIRROR = 'http://deb.debian.org/debian/';

export interface NatsServerSearch {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Looked into before the user's cache; where a fetched binary is kept. Default: the user's cache. */
  readonly cache?: string;
  /** Called before something is fetched, which takes a while. */
  onFetch?(what: string): void;
}

/** Older ones lack what the runtime needs: a time to live per key, `sync_interval: always`. */
const VERSION_MIN = [2, 11] as const;

/**
 * The path of a nats-server of version 2.11 or later that runs here. Looks, in this order, at the environment
 * variable CODISTILL_NATS_SERVER, in PATH and in the caches; else fetches it into the cache, without root: from a
 * Debian package, which is only unpacked, or from the project's releases (CODISTILL_NATS_RELEASES names a mirror
 * of these).
 *
 * @throws UserInputError for a variable that names no such server, BusUnavailableError saying what was tried.
 */
export async function searchNatsServer({
  environment = process.env,
  cache,
  onFetch,
}: NatsServerSearch = {}): Promise<string> {
  const named = environment.CODISTILL_NATS_SERVER;
  if (named) {
    await assertUsable(named).catch((cause: unknown) => {
      const text = `CODISTILL_NATS_SERVER is ${named}, which does not run: ${reason(cause)}`;
      throw new UserInputError(text, { cause });
    });
    return named;
  }
  const userCache = join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'codistill');
  const caches = cache === undefined ? [userCache] : [cache, userCache];
  const folders = (environment.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const tried = [`PATH, ${caches.join(' and ')} hold none`];
  for (const folder of [...folders, ...caches]) {
    const path = join(folder, NAME);
    try {
      await assertUsable(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        tried.push(`${path}: ${reason(error)}`);
    }
  }
  const releases = environment.CODISTILL_NATS_RELEASES || RELEASES_URL;
  const env = { ...environment };
  const sources = [
    (folder: string) => fetchFromDebian(folder, env),
    (folder: string) => fetchRelease(releases, folder, env),
  ];
  onFetch?.(`no nats-server here; fetching one into ${caches[0]}`);
  for (const fetchInto of sources) {
    try {
      return await fetchToCache(caches[0]!, fetchInto);
    } catch (error) {
      tried.push(reason(error));
    }
  }
  throw new BusUnavailableError(
    `A nats-server is needed, and there is none:\n- ${tried.join('\n- ')}\nInstall one ` +
      '(https://nats.io/download) or set CODISTILL_NATS_SERVER to the path of its binary.',
  );
}

/** @throws when it doesn't run, or is too old. */
async function assertUsable(path: string): Promise<void> {
  const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
  const [, major = '0', minor = '0'] = /v(\d+)\.(\d+)/.exec(stdout) ?? [];
  const [majorMin, minorMin] = VERSION_MIN;
  if (Number(major) > majorMin || (Number(major) === majorMin && Number(minor) >= minorMin)) return;
  throw new Error(`it is version ${stdout.trim()}; ${VERSION_MIN.join('.')} or later is needed`);
}

/**
 * Several processes may do this at once: each works in a folder of its own, and a rename is atomic.
 */
async function fetchToCache(
  cache: string,
  fetchInto: (folder: string) => Promise<string>,
): Promise<string> {
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'fetch-'));
  try {
    const binary = await fetchInto(folder);
    await assertUsable(binary);
    await rename(binary, join(cache, NAME));
    return join(cache, NAME);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Asks Debian's archive with a sources list, state and cache of our own; the system stays as it is.
 */
async function fetchFromDebian(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const failures: string[] = [];
  for (const suite of DEBIAN_SUITES) {
    const home = join(folder, suite);
    try {
      await mkdir(join(home, 'state/lists/partial'), { recursive: true });
      await mkdir(join(home, 'cache/archives/partial'), { recursive: true });
      const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
      const source = `deb [signed-by=${keyring}] ${await debianMirror(env)} ${suite} main\n`;
      await writeFile(join(home, 'sources.list'), source);
      const settings = [
        `Dir::State=${join(home, 'state')}`,
        `Dir::Cache=${join(home, 'cache')}`,
        `Dir::Etc::SourceList=${join(home, 'sources.list')}`,
        'Dir::Etc::SourceParts=-',
        'Acquire::Languages=none',
        'Acquire::PDiffs=false',
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
        'Acquire::Retries=1',
        // The folder belongs to this user, so apt's own user could not write into it.
        `APT::Sandbox::User=${process.getuid?.() === 0 ? 'root' : ''}`,
      ].flatMap((setting) => ['-o', setting]);
      const options = { cwd: home, timeout: FETCH_TIMEOUT_MS, env };
      await run('apt-get', [...settings, '-q', 'update'], options);
      await run('apt-get', [...settings, '-q', 'download', 'nats-server'], options);
      await run('sh', ['-c', 'dpkg -x nats-server_*.deb unpacked'], options);
      return join(home, 'unpacked/usr/sbin/nats-server');
    } catch (error) {
      failures.push(`${suite}: ${reason(error)}`);
    }
  }
  throw new Error(`Debian's package could not be had (${failures.join('; ')})`);
}

/** The mirror that this system uses, if it is a Debian. */
async function debianMirror(env: NodeJS.ProcessEnv): Promise<string> {
  const format = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'];
  const uris = await run('apt-get', format, { timeout: 10_000, env }).catch(() => ({ stdout: '' }));
  const mirror = uris.stdout.split('\n').find((uri) => uri.endsWith('/debian/'));
  return mirror ?? DEBIAN_MIRROR;
}

async function fetchRelease(
  releases: string,
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const cpu = process.arch === 'x64' ? 'amd64' : process.arch;
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `nats-server-${RELEASE}-${system}-${cpu}`;
  const archive = `${name}.tar.gz`;
  const url = `${releases}/${RELEASE}`;
  try {
    const sums = (await download(`${url}/SHA256SUMS`)).toString();
    const line = sums.split('\n').find((entry) => entry.trim().endsWith(archive));
    if (!line) throw new Error(`SHA256SUMS does not list ${archive}`);
    const bytes = await download(`${url}/${archive}`);
    const sum = createHash('sha256').update(bytes).digest('hex');
    if (!line.startsWith(sum)) throw new Error(`${archive} has the SHA-256 ${sum}, not ${line}`);
    await writeFile(join(folder, archive), bytes);
    await run('tar', ['-xzf', archive], { cwd: folder, timeout: FETCH_TIMEOUT_MS, env });
    return join(folder, name, NAME);
  } catch (error) {
    throw new Error(`the release ${url}/${archive} could not be had (${reason(error)})`);
  }
}

async function download(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** The last line: apt and tar write the reason there. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`.trim().split('\n').at(-1) ?? '';
}
