import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { connectNatsBus } from '../../../runtime/index.ts';
import { subjects } from '../../../runtime/wire/address.ts';
import { encodeFrame } from '../../../runtime/wire/frame.ts';
import { startNatsServer } from '../../support/nats-server.ts';
import {
  actorctl,
  countingJob,
  fixture,
  makeFolder,
  onlyRun,
  parseEvents,
  startActorctl,
} from '../actorctl-process.ts';

const whereaboutsJob = fixture('whereabouts-job.ts');
/** Nothing listens there: the port is reserved. */
const nowhere = 'nats://127.0.0.1:1';

test('a node joins, takes actors of a job, and leaves when it is drained', async (t) => {
  await using folder = await makeFolder();
  await using server = await startNatsServer();
  const module = join(folder.path, 'actors.ts');
  await copyFile(whereaboutsJob, module);
  const nodeArgs = ['node', '--nats', server.url, '--name', 'attic', '--module', module, '--json'];
  await using node = startActorctl(nodeArgs, folder.path);
  const joined = JSON.parse(await node.waitForLine((line) => line.includes('"joined"')));
  t.like(joined, { type: 'node', server: server.url });

  const args = ['run', whereaboutsJob, '--nats', server.url, '--wait-nodes', '2', '--json'];
  const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
  t.is(exitCode, 0, stderr + stdout);
  const found = parseEvents(stdout).filter(({ type }) => type === 'whereabouts');
  t.is(found.length, 2);
  t.true(found.some((event) => event.node === 'attic'));
  t.is(new Set(found.flatMap(({ pid, parent }) => [pid, parent])).size, 3);

  const drained = await actorctl(['drain', 'attic', '--nats', server.url], folder.path);
  t.is(drained.exitCode, 0, drained.stderr);
  const left = await node.ended;
  t.is(left.exitCode, 0, left.stderr);
  t.like(parseEvents(left.stdout).at(-1), { event: 'left', node: joined.node });
});

test('a server that is not there gives exit code 69 and says how to go on', async (t) => {
  await using folder = await makeFolder();
  const [run, node] = await Promise.all([
    actorctl(['run', countingJob, '--nats', nowhere, '--json'], folder.path),
    actorctl(['node', '--nats', nowhere], folder.path),
  ]);
  t.is(run.exitCode, 69, run.stderr);
  t.like(parseEvents(run.stdout).at(-1), { type: 'error', code: 'BUS_UNAVAILABLE' });
  t.is(node.exitCode, 69, node.stderr);
  t.regex(node.stderr, /127\.0\.0\.1:1/);
});

test('a node that finds only nodes of another protocol version ends and names both', async (t) => {
  await using folder = await makeFolder();
  await using server = await startNatsServer();
  const bus = await connectNatsBus({ servers: server.url, timeoutMs: 5000 });
  const other = { kind: 'heartbeat', protocol: 99, nodeId: 'x', nodeName: 'old-box' };
  const beating = setInterval(() => {
    bus.publish(subjects.heartbeat('default', 'x'), encodeFrame(other));
  }, 100);
  const node = await actorctl(['node', '--nats', server.url], folder.path);
  clearInterval(beating);
  await bus.close();
  t.is(node.exitCode, 2, node.stderr);
  t.regex(node.stderr, /old-box \(x\) speaks protocol version 99, this one \d+: install the same/);
});

test('a server that goes away for good ends the run with exit code 69', async (t) => {
  await using folder = await makeFolder();
  await using server = await startNatsServer();
  const args = ['run', whereaboutsJob, '--nats', server.url, '--set', 'stay=true', '--json'];
  await using run = startActorctl([...args, '--bus-timeout', '1'], folder.path);
  await run.waitForLine((line) => line.includes('"whereabouts","node"'));
  await server.kill();
  const { exitCode, stdout } = await run.ended;
  t.is(exitCode, 69);
  const events = parseEvents(stdout);
  t.regex(String(events.find(({ type }) => type === 'warning')?.message), /bus is away/);
  t.like(events.at(-1), { type: 'error', code: 'BUS_UNAVAILABLE' });
});

test('credentials in the address reach the server and no file of the run', async (t) => {
  await using folder = await makeFolder();
  await using server = await startNatsServer({
    config: ['authorization { user: nora, password: hush-hush }'],
  });
  const address = server.url.replace('//', '//nora:hush-hush@');
  const good = await actorctl(['run', countingJob, '--nats', address, '--json'], folder.path);
  t.is(good.exitCode, 0, good.stderr);
  const run = await onlyRun(folder.path);
  const record = await readFile(join(run, 'run.json'), 'utf8');
  t.is(JSON.parse(record).bus.servers, server.url);
  const files = ['events.jsonl', 'report.html'].map((name) => readFile(join(run, name), 'utf8'));
  t.notRegex([record, good.stdout, good.stderr, ...(await Promise.all(files))].join(), /hush-hush/);

  const bad = await actorctl(['run', countingJob, '--nats', server.url], folder.path);
  t.is(bad.exitCode, 69, bad.stderr);
});
