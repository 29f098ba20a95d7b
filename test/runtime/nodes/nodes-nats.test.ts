import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { NameTakenError, PlacementError } from '../../../errors.ts';
import {
  type ActorEvent,
  createSystem,
  listActors,
  type System,
  watch,
} from '../../../runtime/index.ts';
import { type NatsServer, startNatsCluster, startNatsServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNodeProcess } from '../../support/node-process.ts';
import { isAlive, waitForProcessEnd } from '../../support/process-watch.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { counter } from '../../support/test-actors.ts';

const JOIN = { timeoutMs: 20_000 };
let server: NatsServer;
let namespaces = 0;
test.before(async () => {
  server = await startNatsServer();
});
test.after.always(() => server?.stop());

interface Scene {
  readonly namespace: string;
  readonly system: System;
  readonly far: NodeProcess;
  readonly events: readonly ActorEvent[];
  next(event: ActorEvent['event']): Promise<ActorEvent>;
}

interface Wishes {
  readonly modules?: readonly string[];
  readonly on?: NatsServer;
  /** Of the far one. */
  readonly allowEnvironment?: readonly string[];
}

/** Two systems of one namespace in two processes. */
async function withNodes(body: (scene: Scene) => Promise<void>, wishes: Wishes = {}) {
  namespaces += 1;
  const nats = { servers: (wishes.on ?? server).url, timeoutMs: 10_000 };
  const namespace = `test-${namespaces}`;
  const common = { bus: { nats }, namespace, warmProcesses: 0 };
  const modules = wishes.modules ?? [counter.module];
  const system = await createSystem({ ...common, nodeName: 'near', modules: [counter.module] });
  const { allowEnvironment = [] } = wishes;
  const farOptions = { ...common, nodeName: 'far', modules, allowEnvironment };
  await using far = await startNodeProcess(farOptions);
  const events: ActorEvent[] = [];
  let wake = (): void => {};
  system.onActorEvent((event) => {
    events.push(event);
    wake();
  });
  const next = async (kind: ActorEvent['event']): Promise<ActorEvent> => {
    for (;;) {
      const found = events.find(({ event }) => event === kind);
      if (found) return found;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  try {
    await system.waitForNodes(2, JOIN);
    await body({ namespace, system, far, events, next });
  } finally {
    await system.close();
  }
}

test('an actor placed on another node is called, supervised and stopped from here', async (t) => {
  await withNodes(async ({ system, far, next }) => {
    const actor = await system.spawn(
      counter,
      { start: 1 },
      { placement: { nodeId: far.nodeId }, restartBackoffMs: 10 },
    );
    t.is(await actor.addAndSave(1), 2);
    const { nodeId, pid } = await actor.describe();
    t.is(nodeId, far.nodeId);
    const error = await t.throwsAsync(actor.exit(9), { code: 'ACTOR_DIED' });
    t.regex(error?.message ?? '', /exited with code 9/);
    t.deepEqual((await next('died')).cause?.lastOutput, ['last words of the counter']);
    t.is(await actor.read(), 2, 'restarted there, from the checkpoint that is kept here');
    const again = await actor.describe();
    t.not(again.pid, pid);
    t.is(again.nodeId, far.nodeId);
    await system.stop(actor);
    await waitForProcessEnd(again.pid);
  });
});

test('labels keep actors apart, also when they are spawned at once, and draw others to them', async (t) => {
  await withNodes(async ({ system, far }) => {
    const labels = { role: 'replica' };
    const replica = { labels, placement: { apartFromLabels: labels } };
    const spawned = await Promise.allSettled(
      [1, 2, 3].map(() => system.spawn(counter, {}, replica)),
    );
    const [first, second, third] = spawned;
    if (first?.status !== 'fulfilled' || second?.status !== 'fulfilled') throw new Error('none');
    const places = await Promise.all([first, second].map(({ value }) => value.describe()));
    t.deepEqual(places.map(({ nodeId }) => nodeId).sort(), [system.nodeId, far.nodeId].sort());
    t.regex(
      third?.status === 'rejected' ? third.reason.message : '',
      /nodes near \(.*\), far \(.*\): each has an actor of this system with role=replica already/,
    );
    const shadow = { labels: { role: 'shadow' }, placement: { nodeId: far.nodeId } };
    await system.spawn(counter, {}, shadow);
    const beside = { placement: { besideLabels: shadow.labels } };
    t.is((await (await system.spawn(counter, {}, beside)).describe()).nodeId, far.nodeId);
    // The next life may be where the last one was.
    const { pid } = await second.value.describe();
    await t.throwsAsync(second.value.exit(9));
    t.not((await second.value.describe()).pid, pid);
    const told = listActors(await system.inspect()).filter(({ status }) => status === 'running');
    const roles = told.map((actor) => actor.labels?.role ?? 'none');
    t.deepEqual(roles.sort(), ['none', 'replica', 'replica', 'shadow']);
  });
});

test('spread places actors on both nodes, also those that are spawned at once', async (t) => {
  await withNodes(async ({ system, far }) => {
    const spawn = () => system.spawn(counter, {}, { placement: 'spread' });
    const actors = [await spawn(), await spawn(), ...(await Promise.all([spawn(), spawn()]))];
    const where = await Promise.all(actors.map((actor) => actor.describe()));
    const counts = [system.nodeId, far.nodeId].map(
      (id) => where.filter(({ nodeId }) => nodeId === id).length,
    );
    t.deepEqual(counts, [2, 2]);
  });
});

test('a node takes only types of its own modules, and says so', async (t) => {
  await withNodes(
    async ({ system, far }) => {
      await t.throwsAsync(system.spawn(counter, {}, { placement: { nodeId: far.nodeId } }), {
        instanceOf: PlacementError,
        message: /node far .* without a module for actor type test\/counter/,
      });
    },
    { modules: [] },
  );
});

test('a node takes from others only variables of actors, and those that it names itself', async (t) => {
  const allowEnvironment = ['GREETING'];
  const body = async ({ system, far }: Scene) => {
    const placement = { nodeId: far.nodeId };
    const program = 'data:text/javascript,console.log(1)';
    for (const name of ['NODE_OPTIONS', 'ld_preload', 'PATH', 'UNHEARD_OF', 'XACTOR_A']) {
      const environment = { [name]: `--import ${program}` };
      await t.throwsAsync(system.spawn(counter, {}, { placement, environment }), {
        message: new RegExp(`takes no variable ${name} from others`),
      });
    }
    const environment = { GREETING: 'hi', ACTOR_MOOD: 'good' };
    const harmless = await system.spawn(counter, {}, { placement, environment });
    t.is((await harmless.surroundings('GREETING')).value, 'hi');
    t.is((await harmless.surroundings('ACTOR_MOOD')).value, 'good');
  };
  await withNodes(body, { allowEnvironment });
});

test('a name that lives in another system of the namespace is refused', async (t) => {
  await withNodes(async ({ system, namespace }) => {
    await system.spawn(counter, {}, { name: 'taken' });
    const nats = { servers: server.url, timeoutMs: 10_000 };
    const other = await createSystem({ bus: { nats }, namespace });
    const spawning = other.spawn(counter, {}, { name: 'taken', isolation: 'inline' });
    await t.throwsAsync(spawning, { instanceOf: NameTakenError });
    await other.close();
  });
});

test('the actors of a killed node go on elsewhere, from their checkpoints', async (t) => {
  await withNodes(async ({ system, far, next }) => {
    const actor = await system.spawn(counter, {}, { placement: 'spread', name: 'near-one' });
    const moved = await system.spawn(counter, {}, { placement: 'spread', name: 'far-one' });
    await moved.addAndSave(5);
    const { pid, nodeId } = await moved.describe();
    t.is(nodeId, far.nodeId);
    const waiting = moved.wait();
    far.send('SIGKILL');
    await waitForProcessEnd(pid);
    await t.throwsAsync(waiting, { code: 'ACTOR_DIED', message: /node far .* silent for \d+ s/ });
    t.like((await next('died')).cause, { kind: 'node-lost' });
    t.is(await moved.read(), 5);
    t.is((await moved.describe()).nodeId, system.nodeId);
    t.is(await actor.add(1), 1);
  });
});

test('an owner that was cut off hears of what happened meanwhile, and loses no checkpoint', async (t) => {
  await using link = await startTcpProxy(server.port);
  const namespace = 'cut-off-owner';
  const common = { namespace, modules: [counter.module], warmProcesses: 0 };
  const through = (port: number) => ({
    nats: { servers: `nats://127.0.0.1:${port}`, timeoutMs: 10_000 },
  });
  await using far = await startNodeProcess({ ...common, bus: through(server.port) });
  await using owner = await createSystem({ ...common, bus: through(link.port) });
  await using other = await createSystem({ ...common, bus: through(server.port) });
  await owner.waitForNodes(3, JOIN);
  const placed = { placement: { nodeId: far.nodeId } };
  const dying = await owner.spawn(counter, {}, { ...placed, name: 'dying', maxRestarts: 0 });
  await owner.spawn(counter, {}, { ...placed, name: 'saving' });
  const saving = (await other.get(counter, 'saving'))!;
  const { pid } = await dying.describe();
  const died = new Promise<ActorEvent>((resolve) => {
    owner.onActorEvent((event) => event.event === 'died' && resolve(event));
  });

  link.cut();
  process.kill(pid, 'SIGKILL');
  const saved = saving.addAndSave(7);
  // Longer than a node is asked again that seems to be just joining.
  await delay(2_000);
  link.heal();
  t.is(await saved, 7);
  t.like((await died).cause, { kind: 'signal', signal: 'SIGKILL' });
});

test('a node that was cut off and returns gives up what was replaced', async (t) => {
  await withNodes(async ({ system, far, next }) => {
    const actor = await system.spawn(
      counter,
      {},
      { placement: { nodeId: far.nodeId }, maxRestarts: 0 },
    );
    const { pid } = await actor.describe();
    far.send('SIGSTOP');
    t.is((await next('died')).cause?.kind, 'node-lost');
    t.true(isAlive(pid));
    far.send('SIGCONT');
    await waitForProcessEnd(pid);
  });
});

test('the death of the owner frees its names once its actors have stopped acting', async (t) => {
  const nats = { servers: server.url, timeoutMs: 10_000 };
  const common = { bus: { nats }, namespace: 'orphans', modules: [counter.module] };
  await using host = await startNodeProcess(common);
  await using owner = await startNodeProcess(common, 'owner');
  const { pid, nodeId } = (await owner.nextLine()) as { pid: number; nodeId: string };
  t.is(nodeId, host.nodeId);
  await using heir = await createSystem({ bus: { nats }, namespace: 'orphans' });
  const { ended } = watch((await heir.get(counter, 'owned'))!);
  owner.send('SIGKILL');
  t.true(isAlive(pid));
  const again = await heir.spawn(counter, {}, { name: 'owned', isolation: 'inline' });
  t.is((await again.describe()).pid, process.pid);
  await waitForProcessEnd(pid);
  t.is((await ended).kind, 'node-lost');
});

test('ten seconds without the server kill nothing, and calls of that time are answered', async (t) => {
  const unstable = await startNatsServer();
  try {
    await withNodes(
      async ({ system, far, events }) => {
        const near = await system.spawn(counter, {});
        const remote = await system.spawn(counter, {}, { placement: { nodeId: far.nodeId } });
        const stream = remote.count(1000)[Symbol.asyncIterator]();
        await stream.next();
        const waiting = remote.wait();
        await unstable.kill();
        const during = [near.add(1), near.addAndSave(1)];
        await delay(10_000);
        await unstable.start();
        t.deepEqual(await Promise.all(during), [1, 2]);
        let last = 0;
        for (let next = await stream.next(); !next.done; next = await stream.next()) {
          t.is(next.value, last + 1);
          last = next.value;
        }
        t.is(last, 999);
        t.is(await waiting, 'released');
        t.deepEqual([...new Set(events.map(({ event }) => event))], ['started']);
      },
      { on: unstable },
    );
  } finally {
    await unstable.stop();
  }
});

test('hosts on different servers of a cluster work together, and outlive one server', async (t) => {
  await using cluster = await startNatsCluster(3);
  const common = { namespace: 'clustered', modules: [counter.module], warmProcesses: 0 };
  const bus = (first: number) => {
    const servers = [...cluster.urls.slice(first), ...cluster.urls.slice(0, first)];
    return { nats: { servers, timeoutMs: 10_000 } };
  };
  const system = await createSystem({ ...common, bus: bus(0) });
  try {
    await using far = await startNodeProcess({ ...common, bus: bus(1) });
    await system.waitForNodes(2, JOIN);
    const remote = await system.spawn(
      counter,
      {},
      { placement: { nodeId: far.nodeId }, name: 'remote' },
    );
    const large = new Float32Array(1_000_000).fill(3);
    t.deepEqual(await remote.echo(large), large);
    const deaths: ActorEvent[] = [];
    system.onActorEvent((event) => deaths.push(event));
    await cluster.servers[1]!.kill();
    const calls = Array.from({ length: 20 }, (_, index) => remote.add(index));
    t.is((await Promise.all(calls)).at(-1), 190);
    t.deepEqual(deaths, []);
  } finally {
    await system.close();
  }
});
