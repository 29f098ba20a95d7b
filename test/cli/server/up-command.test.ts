import { readFileSync } from 'node:fs';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { createClusterKey } from '../../../cli/server/cluster-key.ts';
import { freePortRow } from '../../support/free-port.ts';
import { findNatsServer } from '../../support/nats-server.ts';
import { isAlive, waitForProcessEnd, waitUntil } from '../../support/process-watch.ts';
import {
  type ActorctlOutcome,
  type ActorctlProcess,
  actorctl,
  fixture,
  makeFolder,
  parseEvents,
  startActorctl,
} from '../actorctl-process.ts';

const whereaboutsJob = fixture('whereabouts-job.ts');
const environment = { CODISTILL_NATS_SERVER: await findNatsServer() };

interface Up extends AsyncDisposable {
  readonly process: ActorctlProcess;
  readonly dir: string;
  /** Of its server and its witness. */
  readonly pids: readonly number[];
  /** Ctrl-C, and the wait for the end. */
  stop(): Promise<ActorctlOutcome>;
}

async function startUp(
  dir: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<Up> {
  return await startUpAsItWas(dir, ['--module', whereaboutsJob, ...args], variables);
}

async function startUpAsItWas(
  dir: string,
  args: readonly string[] = [],
  variables: Readonly<Record<string, string>> = {},
): Promise<Up> {
  const all = ['up', '--dir', dir, '--json', ...args];
  const process = startActorctl(all, join(dir, '..'), { ...environment, ...variables });
  await process.waitForLine((line) => line.includes('"joined"'));
  const names = (await readdir(dir)).filter((name) => name.endsWith('.pid'));
  const pids = await Promise.all(
    names.map(async (name) => Number(await readFile(join(dir, name), 'utf8'))),
  );
  const stop = async () => {
    process.child.kill('SIGINT');
    return await process.ended;
  };
  return {
    process,
    dir,
    pids,
    stop,
    async [Symbol.asyncDispose]() {
      await process[Symbol.asyncDispose]();
      for (const pid of pids) if (isAlive(pid)) globalThis.process.kill(pid, 'SIGKILL');
    },
  };
}

async function freePort(): Promise<string> {
  return String(await freePortRow());
}

test('up gives a server and a node that jobs use, shows no secrets and leaves nothing', async (t) => {
  await using folder = await makeFolder();
  const dir = join(folder.path, 'server');
  await using up = await startUp(dir, ['--port', await freePort(), '--name', 'attic']);
  const connection = JSON.parse(await readFile(join(dir, 'nats.json'), 'utf8'));
  const key = (await readFile(join(dir, 'cluster.key'), 'utf8')).trim();
  t.is(up.pids.length, 2);
  for (const name of ['nats.json', 'cluster.key', 'server.conf', 'witness.conf']) {
    t.is((await stat(join(dir, name))).mode & 0o777, 0o600, name);
  }

  const args = ['run', whereaboutsJob, '--wait-nodes', '2', '--json', '--nats'];
  const job = await actorctl([...args, join(dir, 'nats.json')], folder.path);
  t.is(job.exitCode, 0, job.stderr + job.stdout);
  t.true(
    parseEvents(job.stdout).some(({ type, node }) => type === 'whereabouts' && node === 'attic'),
  );
  const refused = await actorctl([...args, connection.servers[0]], folder.path);
  t.is(refused.exitCode, 69);
  t.regex(refused.stdout, /refuses these credentials/);

  const doctor = await actorctl(
    ['doctor', '--nats', join(dir, 'nats.json'), '--json'],
    folder.path,
  );
  const checks = parseEvents(doctor.stdout).filter(({ name }) => /^nats/.test(String(name)));
  t.deepEqual(new Set(checks.map(({ name }) => name)).size, 7, doctor.stdout);
  const troubled = checks.filter(({ status }) => status !== 'ok').map(({ name }) => name);
  t.deepEqual(troubled, ['nats replicas'], 'there is one server yet');

  if (process.platform === 'linux') {
    for (const pid of [...up.pids, up.process.child.pid]) {
      const shown = await readFile(`/proc/${pid}/cmdline`, 'utf8');
      t.false(shown.includes(connection.password) || shown.includes(key));
    }
  }
  const { exitCode, stdout, stderr } = await up.stop();
  t.is(exitCode, 0, stderr);
  t.false([stdout, stderr].some((text) => text.includes(connection.password)));
  t.false([stdout, stderr].some((text) => text.includes(key)));
  for (const pid of up.pids) t.false(isAlive(pid));
});

test('a second machine joins by one command, and both come back as they were', async (t) => {
  await using folder = await makeFolder();
  const [a, b] = [join(folder.path, 'a'), join(folder.path, 'b')];
  const port = await freePort();
  await using first = await startUp(a, ['--port', port, '--name', 'first', '--tls']);
  const keyFile = join(a, 'cluster.key');
  const joinArgs = ['--join', `127.0.0.1:${port}`, '--key-file', keyFile, '--tls'];
  const args = [
    ...joinArgs,
    '--port',
    await freePort(),
    '--name',
    'second',
    '--labels',
    'zone=attic',
  ];
  await using second = await startUp(b, args);
  t.is(second.pids.length, 1);
  const { servers } = JSON.parse(await readFile(join(b, 'nats.json'), 'utf8'));
  t.true(servers.every((server: string) => server.startsWith('tls://')));
  const namesBoth = () =>
    servers.every((server: string) => readFileSync(join(a, 'nats.json'), 'utf8').includes(server));
  await waitUntil(namesBoth, "the first one's connection to name the second, too", 60_000);

  const seeNodes = async (connection: string) => {
    const run = ['run', whereaboutsJob, '--nats', connection, '--wait-nodes', '3', '--json'];
    const { exitCode, stdout, stderr } = await actorctl(run, folder.path);
    t.is(exitCode, 0, stderr + stdout);
    const events = parseEvents(stdout).filter(({ type }) => type === 'whereabouts');
    return new Set(events.map(({ node }) => node));
  };
  const seen = await seeNodes(join(b, 'nats.json'));
  t.true(seen.has('first') && seen.has('second'), [...seen].join());

  // One is stopped, the other one killed, which leaves its server behind.
  await first.stop();
  second.process.child.kill('SIGKILL');
  await second.process.ended;
  t.true(isAlive(second.pids[0]!));
  const again = await Promise.all([
    startUpAsItWas(a),
    startUpAsItWas(b, ['--resources', 'camera=1']),
  ]);
  await waitForProcessEnd(second.pids[0]!);
  t.deepEqual(JSON.parse(await readFile(join(b, 'node.json'), 'utf8')), {
    name: 'second',
    module: [whereaboutsJob],
    labels: ['zone=attic'],
    resources: ['camera=1'],
  });
  const back = await seeNodes(join(a, 'nats.json'));
  t.is(back.size, 3);
  t.true(back.has('first') && back.has('second'), [...back].join());
  const looking = [
    'nodes',
    '--nats',
    join(a, 'nats.json'),
    '--json',
    '--filter',
    'labels.zone=attic',
  ];
  const looked = await actorctl(looking, folder.path);
  const [row, ...others] = parseEvents(looked.stdout);
  t.like(row, { nodeName: 'second', resources: { custom: { camera: 1 } } });
  t.deepEqual(others, []);
  for (const up of again) t.is((await up.stop()).exitCode, 0);
});

test('what can not be is refused before a server starts, with what to do', async (t) => {
  await using folder = await makeFolder();
  const up = async (...args: readonly string[]) => {
    const { exitCode, stderr } = await actorctl(['up', ...args], folder.path, environment);
    t.is(exitCode, 2, stderr);
    return stderr;
  };
  t.regex(await up('--dir', 'a', '--listen', '0.0.0.0', '--no-tls'), /without TLS .* --insecure/s);
  t.regex(await up('--dir', 'a', '--insecure'), /add --no-tls/);
  t.regex(await up('--dir', 'b', '--join', '127.0.0.1'), /takes the key .*--key-file -/s);
  await using taken = await takePort();
  t.regex(
    await up('--dir', 'c', '--port', taken.port),
    /Port \d+ of 127\.0\.0\.1 is taken.*--port/,
  );
  t.regex(await up('--dir', 'd/e', '--listen', '192.0.2.1'), /192\.0\.2\.1 is no address of this/);
  await writeFile(join(folder.path, 'file'), '');
  t.regex(await up('--dir', 'file'), /file is no folder; --dir wants one/);
  t.regex(await up('--dir', 'file/in-it'), /folder can't be made: ENOTDIR/);
  await rm(join(folder.path, 'file'));
  t.regex(await up('--dir', 'f', '--key-file', 'none'), /--key-file can't be read/);
  t.deepEqual(await readdir(folder.path), [], 'nothing is left of it');
});

test('a node that can not be is refused before its folder is made', async (t) => {
  await using folder = await makeFolder();
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--module', 'none.ts'], /There is no file .*none\.ts/],
    [['--module', fixture('broken-job.ts')], /broken-job\.ts can't be loaded/],
    [['--resources', 'cpu=many'], /takes a number/],
    [['--labels', 'attic'], /--labels takes name=value/],
    [['--metrics-port', '0.0.0.0:9464'], /--metrics-token-file/],
    [['--metrics-port', '9464', '--metrics-token-file', 'none'], /can't be read/],
  ];
  for (const [args, message] of wrong) {
    const { exitCode, stderr } = await actorctl(['up', '--dir', 'up', ...args], folder.path);
    t.is(exitCode, 2, stderr);
    t.regex(stderr, message);
  }
  t.deepEqual(await readdir(folder.path), []);
});

test('what was kept of a node is checked as flags are, and a damaged file is named', async (t) => {
  await using folder = await makeFolder();
  const file = join(folder.path, 'node.json');
  const up = async () => await actorctl(['up', '--dir', '.'], folder.path, environment);
  await writeFile(file, JSON.stringify({ module: [join(folder.path, 'gone.ts')] }));
  const gone = await up();
  t.is(gone.exitCode, 2);
  t.regex(gone.stderr, /There is no file .*gone\.ts.* kept in .*node\.json: give that one again/);
  await writeFile(file, JSON.stringify({ labels: 'zone=attic' }));
  const damaged = await up();
  t.not(damaged.exitCode, 0);
  t.regex(damaged.stderr, /node\.json is damaged; delete it/);
});

async function takePort(): Promise<AsyncDisposable & { readonly port: string }> {
  const port = await freePort();
  const server = createServer().listen(Number(port), '127.0.0.1');
  return { port, [Symbol.asyncDispose]: async () => void server.close() };
}

test('the wrong key is refused by the cluster, and nothing is kept of the attempt', async (t) => {
  await using folder = await makeFolder();
  const port = await freePort();
  await using first = await startUp(join(folder.path, 'a'), ['--port', port]);
  const args = ['up', '--dir', 'b', '--port', await freePort(), '--join', `127.0.0.1:${port}`];
  const wrong = createClusterKey().text;
  const variables = { ...environment, CODISTILL_CLUSTER_KEY: wrong };
  const { exitCode, stderr } = await actorctl(args, folder.path, variables);
  t.is(exitCode, 69, stderr);
  t.regex(stderr, /is the key the right one\?/);
  t.false(stderr.includes(wrong));
  t.deepEqual(await readdir(folder.path), ['a']);

  const right = await readFile(join(folder.path, 'a', 'cluster.key'), 'utf8');
  const again = args.slice(3);
  await using second = await startUp(join(folder.path, 'b'), again, {
    CODISTILL_CLUSTER_KEY: right,
  });
  t.is((await second.stop()).exitCode, 0);
  t.is((await first.stop()).exitCode, 0);
});
