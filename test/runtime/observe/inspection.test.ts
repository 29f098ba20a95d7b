import test from 'ava';
import {
  type ActorFigures,
  connectNatsBus,
  createObserver,
  createSystem,
  listActors,
  type Observer,
  type RuntimeEvent,
  type System,
  systemClock,
} from '../../../runtime/index.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { startNodeProcess } from '../../support/node-process.ts';
import { counter } from '../../support/test-actors.ts';

const JOIN = { timeoutMs: 20_000 };
let server: NatsServer;
test.before(async () => {
  server = await startNatsServer();
});
test.after.always(() => server?.stop());

test.serial('a node tells what its actors did, with figures of their processes', async (t) => {
  await using system = await createSystem({ bus: 'local', nodeName: 'home' });
  const actor = await system.spawn(counter, {}, { name: 'busy' });
  for (let call = 0; call < 5; call += 1) await actor.add(1);
  await t.throwsAsync(actor.fail('on purpose'));
  const large = (await actor.echo(new Float32Array(4 << 20))) as Float32Array;
  t.is(large.length, 4 << 20);
  const figures = await inspectFigures(system);
  const { nodes, silent } = await system.inspect();
  t.deepEqual(silent, []);
  t.is(nodes.length, 1);
  const [{ nodeName, hosted, owned, bus, pid }] = nodes as [(typeof nodes)[0]];
  t.deepEqual([nodeName, bus, pid], ['home', 'local', process.pid]);
  const [{ pid: actorPid }] = hosted as [(typeof hosted)[0]];
  t.like(figures, { waiting: 0, done: 6, failed: 1 });
  t.is(
    figures.durations.reduce((sum, count) => sum + count, 0),
    7,
  );
  t.true(figures.receivedBytes > 16 << 20 && figures.sentBytes > 16 << 20);
  t.true(figures.rssBytes! > 10e6 && figures.cpuMs! > 0);
  t.is((await actor.describe()).pid, actorPid);
  const big = await system.put(new Float64Array(1 << 20));
  await system.put('small');
  const { objects, objectMemoryBytes, omittedObjects } = await system.inspectNode();
  t.like(objects[0], { owner: system.nodeId, where: 'memory', spilled: false, holders: 1 });
  t.true(objects[0]!.bytes >= 8 << 20 && objectMemoryBytes >= objects[0]!.bytes);
  t.deepEqual([objects.length, omittedObjects], [2, 0]);
  t.is((await system.get(big)).length, 1 << 20);
  t.like(owned[0], { name: 'busy', status: 'running', epoch: 1, restarts: 0, pid: actorPid });
});

test.serial(
  'an actor that blocks its process is told of with the figures that it gave before',
  async (t) => {
    await using system = await createSystem({ bus: 'local' });
    const actor = await system.spawn(counter, {});
    await actor.add(1);
    const before = await inspectFigures(system);
    const blocked = actor.block(2_500);
    const [during] = (await system.inspectNode()).hosted;
    t.is(during!.figures!.done, before.done);
    t.true(during!.figuresAgeMs! >= 900);
    await blocked;
  },
);

test.serial(
  'dead actors stay visible with their cause, and a refused placement with its reasons',
  async (t) => {
    await using system = await createSystem({ bus: 'local', resources: { cpu: 1 } });
    const actor = await system.spawn(counter, {}, { name: 'doomed', maxRestarts: 0 });
    await t.throwsAsync(actor.exit(7));
    await t.throwsAsync(system.spawn(counter, {}, { name: 'greedy', resources: { cpu: 8 } }), {
      code: 'PLACEMENT',
    });
    const observed: RuntimeEvent[] = [];
    const { nodes } = await system.inspect({ eventsMax: 10 });
    for (const { event } of nodes[0]!.events) observed.push(event);
    const doomed = nodes[0]!.owned.find(({ name }) => name === 'doomed');
    t.like(doomed, { status: 'dead', cause: { kind: 'exit', exitCode: 7 } });
    t.deepEqual(
      observed.map(({ event, actor }) => `${event} ${actor}`),
      ['actor-started doomed', 'actor-died doomed', 'placement-refused greedy'],
    );
    t.regex(observed[1]!.message, /doomed died: its process .* exited with code 7/);
    t.regex(observed[2]!.message, /1 cpu free, 8 wanted/);
    t.deepEqual(
      (await system.inspect({ eventsMax: 1 })).nodes[0]!.events.map(({ event }) => event.seq),
      [3],
    );
  },
);

test.serial(
  'an observer of a server finds all nodes, hears what happens and lists silent ones',
  async (t) => {
    const nats = { servers: server.url, timeoutMs: 10_000 };
    const common = { bus: { nats }, namespace: 'seen', warmProcesses: 0 };
    const bus = await connectNatsBus(nats);
    const observer = createObserver({ bus, namespace: 'seen', clock: systemClock });
    t.deepEqual(await observer.inspect(), { nodes: [], silent: [] });
    const system = await createSystem({ ...common, nodeName: 'near' });
    try {
      await using far = await startNodeProcess({
        ...common,
        nodeName: 'far',
        modules: [counter.module],
      });
      await system.waitForNodes(2, JOIN);
      const started = nextEvent(observer, 'actor-started');
      const actor = await system.spawn(
        counter,
        {},
        { name: 'remote', placement: { nodeId: far.nodeId } },
      );
      await actor.add(1);
      t.like(await started, { actor: 'remote', node: far.nodeId, nodeName: 'near' });
      const { nodes, silent } = await observer.inspect();
      t.deepEqual(silent, []);
      t.deepEqual(
        nodes.map(({ nodeName, hosted, owned }) => [nodeName, hosted.length, owned.length]),
        [
          ['far', 1, 0],
          ['near', 0, 1],
        ],
      );
      far.send('SIGSTOP');
      const partly = await observer.inspect({ timeoutMs: 1_500 });
      t.deepEqual(partly.silent, [
        { nodeId: far.nodeId, nodeName: 'far', reason: 'it did not answer in time' },
      ]);
      const lost = nextEvent(observer, 'node-lost');
      const died = nextEvent(observer, 'actor-died');
      far.send('SIGKILL');
      t.like(await lost, { node: far.nodeId, nodeName: 'near' });
      t.like(await died, { actor: 'remote', cause: { kind: 'node-lost' } });
    } finally {
      await system.close();
      observer.close();
      await bus.close();
    }
  },
);

test.serial('a server lets a user look who may do nothing else', async (t) => {
  const mayLook = `{ user: looker, password: eyes, permissions: {
    publish: ["codistill.*.inspect.>", "codistill.*.inspect", "_INBOX.>"],
    subscribe: ["codistill.*.events", "_INBOX.>"] } }`;
  await using guarded = await startNatsServer({
    config: [`authorization { users: [ { user: boss, password: all }, ${mayLook} ] }`],
  });
  const nats = { servers: guarded.url, timeoutMs: 10_000 };
  const options = { ...nats, user: 'boss', password: 'all' };
  await using system = await createSystem({ bus: { nats: options }, namespace: 'guarded' });
  const bus = await connectNatsBus({ ...nats, user: 'looker', password: 'eyes' });
  const observer = createObserver({ bus, namespace: 'guarded', clock: systemClock });
  const started = nextEvent(observer, 'actor-started');
  await bus.flush();
  await system.spawn(counter, {}, { name: 'kept', lifetime: 'detached' });
  t.is((await started).actor, 'kept');
  const inspection = await observer.inspect({ eventsMax: 5 });
  t.like(listActors(inspection)[0], { name: 'kept', detached: true, status: 'running', done: 0 });
  const forbidden = bus.request(`codistill.guarded.node.${system.nodeId}`, new Uint8Array(0), {
    timeoutMs: 5_000,
  });
  await t.throwsAsync(forbidden, { code: 'BUS_UNAVAILABLE', message: /does not let us publish/ });
  observer.close();
  await bus.close();
});

test.serial('the answer of a node with thousands of actors comes whole', async (t) => {
  const nats = { servers: server.url, timeoutMs: 10_000 };
  await using system: System = await createSystem({ bus: { nats }, namespace: 'crowd' });
  const spawned = Array.from({ length: 3_000 }, (_, index) =>
    system.spawn(
      counter,
      {},
      { name: `one-of-a-crowd-${index}`, isolation: 'inline', resources: {} },
    ),
  );
  await Promise.all(spawned);
  const { nodes } = await system.inspect({ timeoutMs: 10_000 });
  t.is(nodes[0]!.hosted.length, 3_000);
  t.is(nodes[0]!.owned.length, 3_000);
  t.is(nodes[0]!.omittedActors, 0);
});

/** Of the only actor, whose process may be slow to answer where much else runs. */
async function inspectFigures(system: System): Promise<ActorFigures> {
  for (;;) {
    const [actor] = (await system.inspectNode()).hosted;
    if (actor?.figures !== undefined) return actor.figures;
  }
}

function nextEvent(observer: Observer, event: RuntimeEvent['event']): Promise<RuntimeEvent> {
  return new Promise((resolve) => {
    const subscription = observer.onEvent((heard) => {
      if (heard.event !== event) return;
      subscription.unsubscribe();
      resolve(heard);
    });
  });
}
