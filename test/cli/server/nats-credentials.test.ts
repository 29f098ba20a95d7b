import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import test from 'ava';
import { createJwtSetup } from '../../support/nats-jwt.ts';
import { startNatsServer } from '../../support/nats-server.ts';
import { actorctl, countingJob, fixture, makeFolder, startActorctl } from '../actorctl-process.ts';

interface Kind {
  readonly config: readonly string[];
  readonly args: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly secret: string;
}

const secret = 'hush-hush-4711';
const user = nkeys.createUser();
const seed = Buffer.from(user.getSeed()).toString();
const jwt = createJwtSetup();
const byPassword = [`authorization { user: nora, password: ${secret} }`];
const byToken = [`authorization { token: ${secret} }`];

const kinds: Readonly<Record<string, Kind>> = {
  'a token in the environment': {
    config: byToken,
    args: [],
    variables: { NATS_TOKEN: secret },
    secret,
  },
  'a token in a file': {
    config: byToken,
    args: ['--nats-token-file', 'token'],
    files: { token: `${secret}\n` },
    secret,
  },
  'a user and a password in the environment': {
    config: byPassword,
    args: [],
    variables: { NATS_USER: 'nora', NATS_PASSWORD: secret },
    secret,
  },
  'a user and a password in a file': {
    config: byPassword,
    args: ['--nats-user', 'nora', '--nats-password-file', 'password'],
    files: { password: secret },
    secret,
  },
  'the seed of an nkey': {
    config: [`authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`],
    args: ['--nats-nkey', 'seed'],
    files: { seed },
    secret: seed,
  },
  'a creds file': {
    config: jwt.config,
    args: ['--nats-creds', 'nora.creds'],
    files: { 'nora.creds': jwt.creds },
    secret: jwt.seed,
  },
};

for (const [name, kind] of Object.entries(kinds)) {
  test(`${name} opens a server, and is written nowhere`, async (t) => {
    await using folder = await makeFolder();
    await using server = await startNatsServer({ config: kind.config });
    for (const [file, text] of Object.entries(kind.files ?? {})) {
      await writeFile(join(folder.path, file), text, { mode: 0o600 });
    }
    const base = ['run', countingJob, '--nats', server.url, '--json'];
    const args = [...base, ...kind.args, '--run-dir', 'done'];
    const good = await actorctl(args, folder.path, kind.variables);
    t.is(good.exitCode, 0, good.stderr + good.stdout);
    const files = (await readdir(join(folder.path, 'done'), { recursive: true })).filter((file) =>
      /\.(json|jsonl|html)$/.test(file),
    );
    t.true(files.includes('run.json'));
    const texts = files.map((file) => readFile(join(folder.path, 'done', file), 'utf8'));
    const written = [good.stdout, good.stderr, ...(await Promise.all(texts))].join();
    t.false(written.includes(kind.secret));

    const bad = await actorctl(base, folder.path);
    t.is(bad.exitCode, 69, bad.stdout);
    t.regex(bad.stdout, /refuses these credentials/);
  });
}

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('no process of a node shows the password in its arguments', async (t) => {
  await using folder = await makeFolder();
  await using server = await startNatsServer({ config: byPassword });
  const address = server.url.replace('//', `//nora:${secret}@`);
  const job = fixture('whereabouts-job.ts');
  const args = ['run', job, '--nats', address, '--set', 'stay=true', '--json'];
  await using run = startActorctl(args, folder.path);
  const line = await run.waitForLine((line) => line.includes('"whereabouts","node"'));
  const { pid, parent } = JSON.parse(line) as { pid: number; parent: number };
  t.true(parent === run.child.pid);
  for (const each of [pid, parent]) {
    const shown = await readFile(`/proc/${each}/cmdline`, 'utf8');
    t.true(shown.length > 0);
    t.false(shown.includes(secret), shown);
  }
});

test('a file that is not there, and half a certificate, are refused by their flags', async (t) => {
  await using folder = await makeFolder();
  const base = ['run', countingJob, '--nats', 'nats://127.0.0.1:1'];
  const file = await actorctl([...base, '--nats-token-file', 'none'], folder.path);
  t.is(file.exitCode, 2);
  t.regex(file.stderr, /--nats-token-file can't be read: .*none/);
  const half = await actorctl([...base, '--nats-cert', 'none'], folder.path);
  t.is(half.exitCode, 2);
  t.regex(half.stderr, /--nats-cert and --nats-key belong together/);
  await writeFile(join(folder.path, 'no-secret'), `${secret}\n`);
  for (const flag of ['--nats-creds', '--nats-nkey']) {
    const damaged = await actorctl([...base, flag, 'no-secret'], folder.path);
    t.is(damaged.exitCode, 2, damaged.stderr);
    t.regex(damaged.stderr, new RegExp(`${flag}: no-secret (is|has) no`));
    t.false(damaged.stderr.includes(secret));
  }
});

test('a connection file says all that a client needs, and a damaged one is not quoted', async (t) => {
  await using folder = await makeFolder();
  await using server = await startNatsServer({ config: byPassword });
  const path = join(folder.path, 'nats.json');
  await writeFile(path, JSON.stringify({ servers: [server.url], user: 'nora', password: secret }));
  const good = await actorctl(['run', countingJob, '--nats', 'nats.json'], folder.path);
  t.is(good.exitCode, 0, good.stderr);
  await writeFile(path, JSON.stringify({ servers: server.url, password: secret }));
  const bad = await actorctl(['run', countingJob, '--nats', 'nats.json'], folder.path);
  t.is(bad.exitCode, 2);
  t.regex(bad.stderr, /nats\.json is no connection file/);
  t.false(bad.stderr.includes(secret));
});
