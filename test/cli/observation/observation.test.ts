import test from 'ava';
import { startNatsServer } from '../../support/nats-server.ts';
import {
  type ActorctlProcess,
  actorctl,
  fixture,
  makeFolder,
  onlyRun,
  parseEvents,
  startActorctl,
} from '../actorctl-process.ts';

const observedJob = fixture('observed-job.ts');

async function startObserved(cwd: string, ...args: readonly string[]): Promise<ActorctlProcess> {
  const run = startActorctl(['run', observedJob, '--json', ...args], cwd);
  await run.waitForLine((line) => line.includes('"type":"ready"'));
  return run;
}

test('a run on this machine is looked at without a server', async (t) => {
  await using folder = await makeFolder();
  await using run = await startObserved(folder.path);
  const look = (...args: readonly string[]) => actorctl(args, folder.path);
  const [actors, nodes, events, top, objects] = await Promise.all([
    look('actors'),
    look('nodes', '--json', '--run', await onlyRun(folder.path)),
    look('events'),
    look('top', '--json', '--filter', 'name=st*', 'labels.role=w*'),
    look('objects'),
  ]);
  const filtered = await look('actors', '--filter', 'status=nope');
  t.regex(filtered.stdout, /^None of 3 actors fits the filter in /);
  t.regex(actors.stdout, /^NAME +TYPE +STATUS/);
  t.regex(actors.stdout, /^steady +test\/worker +running .* 4 +0 +0 +0 +\d+\.\d MB +role=worker$/m);
  t.regex(actors.stdout, /^doomed died \d+ s ago: its process \(pid \d+\) exited with code 7/m);
  t.regex(
    actors.stdout,
    /^greedy could not start .*: no node can take actor greedy.* cpu free, 999 wanted/m,
  );

  const [node] = parseEvents(nodes.stdout);
  t.like(node, { type: 'node', status: 'up', bus: 'local', actors: 1, ownedActors: 3 });
  t.is(node!.pid, run.child.pid);

  t.regex(objects.stdout, /^\S+ +\S+ +its own +1\.0 MB +memory +1$/m);

  const expected = [/steady .* started/, /doomed .* started/, /doomed died/, /no node can take/];
  const told = events.stdout.trimEnd().split('\n');
  t.is(told.length, expected.length, events.stdout);
  for (const [index, line] of told.entries()) t.regex(line, expected[index]!);

  const [busiest, ...others] = parseEvents(top.stdout);
  t.like(busiest, { type: 'actor', name: 'steady', callsPerSecond: 0 });
  t.is(typeof busiest!.cpuShare, 'number');
  t.is(others.length, 0);
});

test('a run serves its metrics where it is told to', async (t) => {
  await using folder = await makeFolder();
  await using run = await startObserved(folder.path, '--metrics-port', '0');
  const line = await run.waitForLine((line) => line.includes('"type":"metrics"'));
  const page = await fetch(JSON.parse(line).url);
  t.regex(
    await page.text(),
    /^codistill_actor_calls_total\{actor="steady",.*outcome="done".*\} 4$/m,
  );
  const wrong = await actorctl(['run', observedJob, '--metrics-port', 'many'], folder.path);
  t.is(wrong.exitCode, 2);
  t.regex(wrong.stderr, /It is a port, as 9464, or host:port/);
});

test('a watch looks again and again, and outlives a silence', async (t) => {
  await using folder = await makeFolder();
  await using run = await startObserved(folder.path);
  await using watch = startActorctl(['actors', '--json', '--watch', '0.1'], folder.path);
  const count = (type: string) =>
    watch.lines().filter((line) => line.includes(`"type":"${type}"`)).length;
  await watch.waitForLine(() => count('look') >= 2);
  run.child.kill('SIGSTOP');
  await watch.waitForLine((line) => line.includes('"type":"warning"'));
  const before = count('look');
  run.child.kill('SIGCONT');
  await watch.waitForLine(() => count('look') > before);
  watch.child.kill('SIGINT');
  t.is((await watch.ended).exitCode, 0);
});

test('what is wrong with a look is said: no run, an ended one, a killed one, a wrong filter', async (t) => {
  await using folder = await makeFolder();
  const none = await actorctl(['actors'], folder.path);
  t.is(none.exitCode, 2);
  t.regex(none.stderr, /No run is going on below runs\/\. Give --nats/);

  await using run = await startObserved(folder.path);
  const directory = await onlyRun(folder.path);
  const filtered = await actorctl(['actors', '--filter', 'nmae=x'], folder.path);
  t.is(filtered.exitCode, 2);
  t.regex(filtered.stderr, /nothing called nmae to filter by; there are: name, scope, actorType/);

  run.child.kill('SIGKILL');
  await run.ended;
  const killed = await actorctl(['actors'], folder.path);
  t.is(killed.exitCode, 69);
  t.regex(killed.stderr, /does not answer: it was killed/);

  await using again = await startActorctl(['resume', directory, '--json'], folder.path);
  await again.waitForLine((line) => line.includes('"type":"ready"'));
  again.child.kill('SIGINT');
  t.is((await again.ended).exitCode, 130);
  const ended = await actorctl(['actors', '--run', directory], folder.path);
  t.is(ended.exitCode, 2);
  t.regex(ended.stderr, /is not going on: it is interrupted/);
});

test('all nodes of a server are looked at, and their news come as they happen', async (t) => {
  await using folder = await makeFolder();
  await using server = await startNatsServer();
  const place = ['--nats', server.url, '--namespace', 'watched'];
  const empty = await actorctl(['nodes', ...place], folder.path);
  t.is(empty.exitCode, 0, empty.stderr);
  t.regex(empty.stdout, /^No nodes in namespace watched at nats:/);

  const module = ['--module', observedJob];
  const node = startActorctl(
    ['node', ...place, '--name', 'attic', ...module, '--json'],
    folder.path,
  );
  await using _node = node;
  await node.waitForLine((line) => line.includes('"joined"'));
  await using events = startActorctl(['events', '--watch', '--json', ...place], folder.path);
  await using run = await startObserved(folder.path, '--wait-nodes', '2', ...place);
  await events.waitForLine((line) => line.includes('"placement-refused"'));

  const listed = await actorctl(['actors', '--json', ...place], folder.path);
  const steady = parseEvents(listed.stdout).find(({ name }) => name === 'steady');
  t.like(steady, { type: 'actor', status: 'running', restarts: 0 });
  const where = String(steady!.node);
  const filter = ['--filter', `node=${where}`, 'status=running'];
  const there = await actorctl(['actors', '--json', ...place, ...filter], folder.path);
  t.deepEqual(
    parseEvents(there.stdout).map(({ name }) => name),
    ['steady'],
  );

  run.child.kill('SIGINT');
  t.is((await run.ended).exitCode, 130);
  await events.waitForLine((line) => line.includes('"node-left"'));
  node.child.kill('SIGSTOP');
  const silent = await actorctl(['actors', ...place], folder.path);
  node.child.kill('SIGCONT');
  t.is(silent.exitCode, 1, silent.stdout);
  t.regex(
    silent.stderr,
    /no node of namespace watched answered within 3000 ms, though some listen/,
  );
  events.child.kill('SIGINT');
  const { exitCode, stdout } = await events.ended;
  t.is(exitCode, 0);
  const told = parseEvents(stdout).map(({ event }) => event);
  for (const event of ['node-joined', 'actor-started', 'actor-died', 'placement-refused']) {
    t.true(told.includes(event), event);
  }
});
