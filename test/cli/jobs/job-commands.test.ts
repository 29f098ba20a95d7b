import test from 'ava';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import {
  type ActorctlProcess,
  actorctl,
  fixture,
  makeFolder,
  parseEvents,
  startActorctl,
} from '../actorctl-process.ts';

const steadyJob = fixture('steady-job.ts');
let server: NatsServer;
test.before(async () => {
  server = await startNatsServer();
});
test.after.always(() => server?.stop());

interface JobNode {
  readonly process: ActorctlProcess;
  readonly nodeId: string;
}

async function startNode(namespace: string, cwd: string): Promise<JobNode> {
  const args = ['node', '--nats', server.url, '--namespace', namespace, '--module', steadyJob];
  const process = startActorctl([...args, '--json'], cwd);
  const joined = JSON.parse(await process.waitForLine((line) => line.includes('"joined"')));
  return { process, nodeId: joined.node };
}

test('a job goes on when the node that runs it is killed, and its log outlives that', async (t) => {
  await using folder = await makeFolder();
  const where = ['--nats', server.url, '--namespace', 'killed', '--json'];
  const nodes = await Promise.all([1, 2].map(() => startNode('killed', folder.path)));
  try {
    const settings = ['--set', 'to=400', '--set', 'pauseMs=100', '--name', 'long'];
    const submitted = await actorctl(['submit', steadyJob, ...where, ...settings], folder.path);
    t.is(submitted.exitCode, 0, submitted.stderr);
    await using logs = startActorctl(['logs', 'long', '-f', ...where], folder.path);
    const begun = JSON.parse(await logs.waitForLine((line) => line.includes('"type":"run"')));
    await logs.waitForLine((line) => line.includes('"count":5,'));
    const running = await actorctl(['status', 'long', ...where], folder.path);
    t.is(running.exitCode, 0);
    t.like(parseEvents(running.stdout).at(-1), { state: 'running', lives: 1 });
    const killed = nodes.find(({ nodeId }) => nodeId === begun.node)!;
    killed.process.child.kill('SIGKILL');
    await logs.waitForLine((line) => line.includes('"resumed":true'));
    await logs.waitForLine((line) => /"count":\d+/.test(line.split('"resumed":true').at(-1)!));
    const stopped = await actorctl(['stop', 'long', ...where], folder.path);
    t.is(stopped.exitCode, 0, stopped.stderr);
    const { exitCode, stdout } = await logs.ended;
    t.is(exitCode, 130, 'the exit code is the job’s');
    const counts = parseEvents(stdout).flatMap(({ type, count }) =>
      type === 'count' ? count : [],
    );
    // What was said within the last moments of the killed node may be missing, once.
    const missing = counts.filter(
      (count, index) => index > 0 && count !== (counts[index - 1] as number) + 1,
    );
    t.true(counts.length > 5);
    t.true(missing.length <= 1, `counted ${counts}`);
    t.notRegex(stdout, /waiting until/, 'the names of the earlier life are free at once');
  } finally {
    await Promise.all(nodes.map(({ process }) => process[Symbol.asyncDispose]()));
  }
});

test('Ctrl-C ends only the looking at a job', async (t) => {
  await using folder = await makeFolder();
  const where = ['--nats', server.url, '--namespace', 'looking', '--json'];
  const { process: node } = await startNode('looking', folder.path);
  await using _node = node;
  const settings = ['--set', 'to=4000', '--set', 'pauseMs=100', '--name', 'watched'];
  const submitted = await actorctl(['submit', steadyJob, ...where, ...settings], folder.path);
  t.is(submitted.exitCode, 0, submitted.stderr);
  for (const looking of [
    ['logs', 'watched', '-f'],
    ['status', 'watched', '--wait'],
    ['submit', steadyJob, ...settings, '--wait', '--name', 'second'],
  ]) {
    await using follower = startActorctl([...looking, ...where], folder.path);
    await follower.waitForLine((line) => /"count":3,|"state":"running"/.test(line));
    follower.child.kill('SIGINT');
    const { exitCode, stderr, stdout } = await follower.ended;
    t.is(exitCode, 130, stderr);
    t.is(stderr, '');
    t.like(parseEvents(stdout).at(-1), { type: 'left' });
  }
  const running = await actorctl(['status', 'watched', ...where], folder.path);
  t.like(parseEvents(running.stdout).at(-1), { state: 'running', lives: 1 });
});

test('a job goes on when only the node that runs it stands still, whatever its first life says', async (t) => {
  await using folder = await makeFolder();
  const where = ['--nats', server.url, '--namespace', 'frozen', '--json'];
  const nodes = await Promise.all([1, 2].map(() => startNode('frozen', folder.path)));
  try {
    const settings = ['--set', 'to=4000', '--set', 'pauseMs=100', '--name', 'long'];
    const submitted = await actorctl(['submit', steadyJob, ...where, ...settings], folder.path);
    t.is(submitted.exitCode, 0, submitted.stderr);
    await using logs = startActorctl(['logs', 'long', '-f', ...where], folder.path);
    const begun = JSON.parse(await logs.waitForLine((line) => line.includes('"type":"run"')));
    await logs.waitForLine((line) => line.includes('"count":5,'));
    const frozen = nodes.find(({ nodeId }) => nodeId === begun.node)!;
    frozen.process.child.kill('SIGSTOP');
    // The controller's own process isn't paused: it learns of the next life, and must not end that.
    await logs.waitForLine((line) => line.includes('"resumed":true'));
    const countedSince = (): number => {
      const lines = logs.lines();
      const resumed = lines.findIndex((line) => line.includes('"resumed":true'));
      return lines.slice(resumed).filter((line) => line.includes('"type":"count"')).length;
    };
    await logs.waitForLine(() => countedSince() >= 30);
    frozen.process.child.kill('SIGCONT');
    await logs.waitForLine(() => countedSince() >= 60);
    const running = await actorctl(['status', 'long', ...where], folder.path);
    t.is(running.exitCode, 0, running.stdout);
    t.like(parseEvents(running.stdout).at(-1), { state: 'running', lives: 2 });
    const stopped = await actorctl(['stop', 'long', ...where], folder.path);
    t.is(stopped.exitCode, 0, stopped.stderr);
    const { exitCode, stdout } = await logs.ended;
    t.is(exitCode, 130);
    const events = parseEvents(stdout);
    t.deepEqual(
      events.filter(({ type }) => type === 'error'),
      [],
    );
    const counts = events.flatMap(({ type, count }) => (type === 'count' ? [count as number] : []));
    t.deepEqual(
      counts,
      [...new Set(counts)].sort((a, b) => a - b),
      'only one life counts at a time',
    );
  } finally {
    for (const { process } of nodes) process.child.kill('SIGCONT');
    await Promise.all(nodes.map(({ process }) => process[Symbol.asyncDispose]()));
  }
});

test('a job whose node is drained goes on at another without losing what was not saved yet', async (t) => {
  await using folder = await makeFolder();
  const where = ['--nats', server.url, '--namespace', 'drained', '--json'];
  const nodes = await Promise.all([1, 2].map(() => startNode('drained', folder.path)));
  try {
    const settings = ['--set', 'to=4000', '--set', 'pauseMs=50', '--set', 'saves=false'];
    const submitted = await actorctl(
      ['submit', steadyJob, ...where, ...settings, '--name', 'long'],
      folder.path,
    );
    t.is(submitted.exitCode, 0, submitted.stderr);
    await using logs = startActorctl(['logs', 'long', '-f', ...where], folder.path);
    const begun = JSON.parse(await logs.waitForLine((line) => line.includes('"type":"run"')));
    await logs.waitForLine((line) => line.includes('"count":20,'));
    const drained = await actorctl(['drain', begun.node, ...where], folder.path);
    t.is(drained.exitCode, 0, drained.stderr);
    const resumed = JSON.parse(await logs.waitForLine((line) => line.includes('"resumed":true')));
    t.not(resumed.node, begun.node);
    const countedSince = (): number => {
      const lines = logs.lines();
      const first = lines.findIndex((line) => line.includes('"resumed":true'));
      return lines.slice(first).filter((line) => line.includes('"type":"count"')).length;
    };
    await logs.waitForLine(() => countedSince() >= 5);
    const running = await actorctl(['status', 'long', ...where], folder.path);
    t.like(parseEvents(running.stdout).at(-1), { state: 'running', lives: 2 });
    const stopped = await actorctl(['stop', 'long', ...where], folder.path);
    t.is(stopped.exitCode, 0, stopped.stderr);
    const events = parseEvents((await logs.ended).stdout);
    const counts = events.flatMap(({ type, count }) => (type === 'count' ? [count as number] : []));
    t.deepEqual(
      counts,
      counts.map((_, index) => index + 1),
      'each number once, though the actor never saves by itself',
    );
    const moved = events.findIndex(({ type }) => type === 'moved');
    const before = events.slice(0, moved).filter(({ event }) => event === 'drained');
    t.deepEqual(
      before.map(({ actor }) => actor),
      ['long/tally'],
    );
    t.false(events.slice(0, moved).some(({ type, event }) => type === 'error' || event === 'died'));
  } finally {
    await Promise.all(nodes.map(({ process }) => process[Symbol.asyncDispose]()));
  }
});

test('a job ends with its exit code, is listed, and wants a node that has it', async (t) => {
  await using folder = await makeFolder();
  const where = ['--nats', server.url, '--namespace', 'short'];
  const nobody = await actorctl(['submit', steadyJob, ...where], folder.path);
  t.is(nobody.exitCode, 2);
  t.regex(nobody.stderr, /No node has the job steady.*--module FILE/);
  const node = await startNode('short', folder.path);
  try {
    const good = await actorctl(
      ['submit', steadyJob, ...where, '--name', 'good', '--wait', '--json'],
      folder.path,
    );
    t.is(good.exitCode, 0, good.stderr + good.stdout);
    const counts = parseEvents(good.stdout).filter(({ type }) => type === 'count');
    t.deepEqual(
      counts.map(({ count }) => count),
      [1, 2, 3, 4, 5],
    );
    const failing = ['--set', 'failAt=2', '--name', 'bad', '--wait'];
    const bad = await actorctl(['submit', steadyJob, ...where, ...failing], folder.path);
    t.is(bad.exitCode, 1);
    t.regex(bad.stdout, /Job bad has failed: the job broke/);
    const { stdout } = await actorctl(['jobs', ...where], folder.path);
    t.regex(
      stdout,
      /^NAME +JOB +STATE .*\ngood .* finished .*\nbad .* failed .*\n\nbad failed: the job broke/,
    );
    const failed = await actorctl(
      ['jobs', ...where, '--json', '--filter', 'state=failed'],
      folder.path,
    );
    const rows = failed.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    t.deepEqual(
      rows.map(({ type, id, state }) => [type, id, state]),
      [['job', 'bad', 'failed']],
    );
    const status = await actorctl(['status', 'bad', ...where, '--wait'], folder.path);
    t.is(status.exitCode, 1);
    const stopped = await actorctl(['stop', 'bad', ...where], folder.path);
    t.is(stopped.exitCode, 0);
    t.is(stopped.stdout, 'Job bad had already failed: the job broke\n');
    const logs = await actorctl(['logs', 'bad', ...where], folder.path);
    t.regex(logs.stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}count count=1$/m);
    t.notRegex(logs.stdout, /"kind"/);
    const named = ['jobs', ...where, '--json', '--filter', 'NAME=good'];
    t.like(parseEvents((await actorctl(named, folder.path)).stdout), [{ id: 'good' }]);
  } finally {
    await node.process[Symbol.asyncDispose]();
  }
});

test('jobs that run side by side use the same names, each in its scope', async (t) => {
  await using folder = await makeFolder();
  const where = ['--nats', server.url, '--namespace', 'twins'];
  const node = await startNode('twins', folder.path);
  try {
    const settings = ['--set', 'to=100000', '--set', 'pauseMs=20'];
    const submit = async (...more: readonly string[]) =>
      await actorctl(['submit', steadyJob, ...where, ...settings, ...more], folder.path);
    for (const name of ['one', 'two']) {
      const { exitCode, stderr } = await submit('--name', name);
      t.is(exitCode, 0, stderr);
    }
    for (const name of ['one', 'two']) {
      await using logs = startActorctl(['logs', name, '-f', ...where, '--json'], folder.path);
      await logs.waitForLine((line) => line.includes('"count":3,'));
    }
    const look = async (...filter: readonly string[]) => {
      const listed = await actorctl(['actors', ...where, '--json', ...filter], folder.path);
      const tallies = parseEvents(listed.stdout).filter(
        ({ actorType }) => actorType === 'test/tally',
      );
      return tallies.map(({ name, scope, status }) => [name, scope, status]);
    };
    t.deepEqual(await look(), [
      ['one/tally', 'one', 'running'],
      ['two/tally', 'two', 'running'],
    ]);
    t.deepEqual(await look('--filter', 'scope=two'), [['two/tally', 'two', 'running']]);
    // Who asks for another's scope shares its names: this one is taken.
    const third = await submit('--name', 'three', '--scope', 'one', '--wait');
    t.is(third.exitCode, 1);
    t.regex(third.stdout, /already has an actor one\/tally/);
    const slash = await submit('--name', 'four', '--scope', 'a/b');
    t.is(slash.exitCode, 2);
    t.regex(slash.stderr, /no slash/);
    for (const name of ['one', 'two']) {
      const { exitCode } = await actorctl(['stop', name, ...where], folder.path);
      t.is(exitCode, 0);
    }
  } finally {
    await node.process[Symbol.asyncDispose]();
  }
});

test('without a server these commands say what they need', async (t) => {
  await using folder = await makeFolder();
  const { exitCode, stderr } = await actorctl(['jobs'], folder.path);
  t.is(exitCode, 2);
  t.regex(stderr, /give --nats URL/);
});
