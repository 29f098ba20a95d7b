// `actorctl up` on machines of one network, as their users start it: no loopback address in it.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { createMachines, type Machine, whyNoMachines } from '../../support/machines.ts';
import { findNatsServer } from '../../support/nats-server.ts';
import { isAlive, waitUntil } from '../../support/process-watch.ts';
import { actorctl, fixture, makeFolder, parseEvents, startActorctl } from '../actorctl-process.ts';

const whereaboutsJob = fixture('whereabouts-job.ts');
const reason = await whyNoMachines();
if (reason !== undefined) console.error(`not tested: servers of several machines, as ${reason}`);
const onMachines = reason === undefined ? test : test.skip;

/** What a nats-server tells whoever connects, before anything else. */
async function readGreeting({ prefix }: Machine, host: string): Promise<Record<string, unknown>> {
  const program =
    `require('node:net').connect(4222, '${host}')` +
    ".once('data', (data) => { process.stdout.write(data); process.exit(); })";
  const [command, ...words] = [...prefix, process.execPath, '-e', program];
  const { stdout } = await promisify(execFile)(command!, words);
  return JSON.parse(stdout.replace(/^INFO /, '').split('\r\n')[0]!);
}

onMachines('three machines become one cluster, which lets nobody in without its key', async (t) => {
  const folder = await makeFolder();
  await using machines = await createMachines(3);
  const [one, two, three] = machines.all as [Machine, Machine, Machine];
  const variables = { CODISTILL_NATS_SERVER: await findNatsServer() };
  const at = (path: string) => join(folder.path, path);
  const start = async ({ prefix }: Machine, name: string, ...args: readonly string[]) => {
    const all = ['up', '--dir', at(name), '--name', name, '--module', whereaboutsJob, '--json'];
    const up = startActorctl([...all, ...args], folder.path, variables, prefix);
    // A server outlives a command that is killed.
    t.teardown(async () => {
      for (const file of ['server.pid', 'witness.pid']) {
        const pid = Number(await readFile(at(join(name, file)), 'utf8').catch(() => '0'));
        if (pid > 0 && isAlive(pid)) process.kill(pid, 'SIGKILL');
      }
    });
    await up.waitForLine((line) => line.includes('"joined"'));
    return up;
  };
  const run = async ({ prefix }: Machine, connection: string, nodes: number) => {
    const args = ['run', whereaboutsJob, '--nats', connection, '--wait-nodes', String(nodes)];
    return await actorctl([...args, '--json'], folder.path, variables, prefix);
  };

  // Registered first, so torn down last: it holds the pids of the servers.
  t.teardown(() => folder[Symbol.asyncDispose]());
  await using _first = await start(one, 'first', '--listen', one.address);
  t.like(await readGreeting(two, one.address), { tls_required: true, auth_required: true });
  const stranger = await run(two, `nats://${one.address}:4222`, 1);
  t.is(stranger.exitCode, 69, stranger.stdout);
  const connection = JSON.parse(await readFile(at('first/nats.json'), 'utf8'));
  t.deepEqual(connection.servers, [`tls://${one.address}:4222`]);
  await writeFile(at('guess.json'), JSON.stringify({ ...connection, password: 'guessed' }));
  const guess = await run(two, at('guess.json'), 1);
  t.is(guess.exitCode, 69, guess.stdout);
  t.regex(guess.stdout, /refuses these credentials/);

  const joining = ['--join', one.address, '--key-file', at('first/cluster.key')];
  await using second = await start(two, 'second', ...joining);
  const everywhere = ['--listen', '0.0.0.0', '--advertise', three.address];
  await using third = await start(three, 'third', ...joining, ...everywhere);
  const own = JSON.parse(await readFile(at('third/nats.json'), 'utf8'));
  t.is(own.servers[0], `tls://${three.address}:4222`, 'what others are told');
  const job = await run(two, at('second/nats.json'), 4);
  t.is(job.exitCode, 0, job.stderr + job.stdout);
  const places = parseEvents(job.stdout).filter(({ type }) => type === 'whereabouts');
  const nodes = new Set(places.map(({ node }) => node));
  for (const name of ['first', 'second', 'third']) t.true(nodes.has(name), [...nodes].join());

  // The first machine has one vote of three from then on, so that it may go.
  const hasWitness = () => JSON.parse(readFileSync(at('first/server.json'), 'utf8')).witness;
  await waitUntil(() => !hasWitness(), 'the witness to be dismissed', 90_000);
  await machines.unplug(one);
  const without = await run(three, at('third/nats.json'), 3);
  t.is(without.exitCode, 0, without.stderr + without.stdout);
  for (const up of [third, second]) {
    up.child.kill('SIGINT');
    t.is((await up.ended).exitCode, 0);
  }
});
