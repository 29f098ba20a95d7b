import test from 'ava';
import { connectNatsBus } from '../../../runtime/bus/connect-nats.ts';
import type { ActorAddress } from '../../../runtime/calls/handle.ts';
import { createSystem, type System } from '../../../runtime/index.ts';
import { plantDetached } from '../../../runtime/nodes/name-record.ts';
import { planSpawn } from '../../../runtime/nodes/spawn-options.ts';
import { openNatsRegister } from '../../../runtime/registry/open-register.ts';
import { detachedOwner } from '../../../runtime/wire/address.ts';
import { startNodeProcess } from '../../support/node-process.ts';
import { waitForProcessEnd } from '../../support/process-watch.ts';
import { shareNatsServer } from '../../support/shared-nats-server.ts';
import { counter } from '../../support/test-actors.ts';

const DETACHED = { name: 'kept', lifetime: 'detached' } as const;
const common = shareNatsServer();

/** The actor in its next life, which another node gives it. */
async function nextLife(system: System) {
  const found = await system.get(counter, 'kept');
  if (found === undefined) throw new Error('the name is gone');
  return { found, count: await found.read(), ...(await found.describe()) };
}

test('a detached actor goes on from its checkpoint when its node is killed', async (t) => {
  const cellar = { ...common('killed'), nodeName: 'cellar' };
  await using killed = await startNodeProcess(cellar, 'detacher');
  const first = (await killed.nextLine()) as {
    nodeId: string;
    epoch: number;
    pid: number;
  };
  t.is(first.nodeId, killed.nodeId);
  await using other = await startNodeProcess(common('killed'));
  await using system = await createSystem(common('killed'));
  await system.waitForNodes(3, { timeoutMs: 20_000 });
  const early = (await system.get(counter, 'kept'))!;
  t.is(await early.read(), 7);
  killed.send('SIGKILL');
  await waitForProcessEnd(first.pid);
  const { found, count, nodeId, epoch } = await nextLife(system);
  t.is(count, 7);
  t.true([system.nodeId, other.nodeId].includes(nodeId));
  t.true(epoch > first.epoch);
  t.is(await early.add(1), 8, 'an old handle finds the new life');
  const inspected = await system.inspect({ eventsMax: 100 });
  const supervised = inspected.nodes.flatMap(({ owned }) =>
    owned.filter(({ name, status }) => name === 'kept' && status === 'running'),
  );
  t.is(supervised.length, 1, 'one node adopted it');
  const told = inspected.nodes.flatMap(({ events }) => events.map(({ event }) => event.message));
  t.true(
    told.includes('actor kept died: node cellar, which supervised it, is gone'),
    told.join('\n'),
  );
  await system.stop(found);
  t.is(await system.get(counter, 'kept'), undefined);
  await t.throwsAsync(early.read(), { code: 'ACTOR_DIED' });
});

test('a detached actor moves with its state when its node leaves, and is stopped from anywhere', async (t) => {
  const first = await createSystem({ ...common('leaving'), nodeName: 'attic' });
  const second = await createSystem(common('leaving'));
  try {
    await Promise.all([first, second].map((one) => one.waitForNodes(2, { timeoutMs: 20_000 })));
    const kept = await first.spawn(counter, {}, { ...DETACHED, isolation: 'inline' });
    t.is(await kept.add(3), 3);
    await t.throwsAsync(second.spawn(counter, {}, DETACHED), { code: 'NAME_TAKEN' });
    await first.close();
    const { count, nodeId, found } = await nextLife(second);
    t.is(count, 3, 'what was not saved yet was saved at leaving');
    t.is(nodeId, second.nodeId);
    const told = (await second.inspect({ eventsMax: 10 })).nodes.flatMap(({ events }) => events);
    t.deepEqual(
      told.map(({ event }) => event.event).filter((event) => event.startsWith('actor')),
      ['actor-restarted'],
      'moving is no death',
    );
    const [owned] = (await second.inspectNode()).owned;
    t.like(owned, { restarts: 0, cause: { message: 'node attic, which supervised it, has left' } });
    await using third = await createSystem(common('leaving'));
    await third.stop(found);
    t.is(await second.get(counter, 'kept'), undefined);
    const fresh = await third.spawn(counter, {}, { ...DETACHED, isolation: 'inline' });
    t.is(await fresh.read(), 0, 'a new actor of that name has nothing of the old one');
    await second.stop(fresh);
  } finally {
    await Promise.all([first.close(), second.close()]);
  }
});

test('a node that starts after a death says by name who is gone', async (t) => {
  const cellar = { ...common('late'), nodeName: 'cellar' };
  await using killed = await startNodeProcess(cellar, 'detacher');
  const { pid } = (await killed.nextLine()) as { pid: number };
  killed.send('SIGKILL');
  await waitForProcessEnd(killed.pid);
  await waitForProcessEnd(pid);
  await using system = await createSystem({ ...common('late'), modules: [counter.module] });
  t.is((await nextLife(system)).count, 7);
  const [event] = (await system.inspect({ eventsMax: 10 })).nodes[0]!.events;
  t.is(event?.event.message, 'actor kept died: node cellar, which supervised it, is gone');
});

test('a detached actor that no node can take waits with its state for one that can', async (t) => {
  const attic = { ...common('waiting'), labels: { room: 'attic' } };
  const first = await createSystem({ ...attic, nodeName: 'attic' });
  const logged = Promise.withResolvers<string>();
  await using other = await createSystem({
    ...common('waiting'),
    log: ({ message }) => {
      if (message.includes('kept')) logged.resolve(message);
    },
  });
  try {
    await Promise.all([first, other].map((one) => one.waitForNodes(2, { timeoutMs: 20_000 })));
    const placement = { requiredLabels: { room: 'attic' } };
    const kept = await first.spawn(counter, {}, { ...DETACHED, isolation: 'inline', placement });
    t.is(await kept.add(3), 3);
  } finally {
    await first.close();
  }
  t.regex(await logged.promise, /^actor kept waits for a node that can take it: .*room=attic/);
  t.deepEqual((await other.inspectNode()).owned, []);
  await using third = await createSystem(attic);
  const { count, nodeId, found } = await nextLife(other);
  t.is(count, 3);
  t.is(nodeId, third.nodeId);
  await other.stop(found);
});

test('a planted actor that a node takes up is started, not restarted', async (t) => {
  const options = common('planted');
  const bus = await connectNatsBus(options.bus.nats);
  try {
    const register = await openNatsRegister(bus, 'planted', { timeoutMs: 10_000 });
    const methods = counter.methods as ActorAddress['methods'];
    const address = { name: 'kept', type: counter.type, owner: detachedOwner('kept'), methods };
    const plan = planSpawn(DETACHED, 'kept', 'inline');
    t.true(await plantDetached(register, address, plan, {}));
    await register.close();
  } finally {
    await bus.close();
  }
  await using system = await createSystem(options);
  t.is((await nextLife(system)).count, 0);
  const told = (await system.inspect({ eventsMax: 10 })).nodes.flatMap(({ events }) => events);
  t.deepEqual(
    told.map(({ event }) => event.event).filter((event) => event.startsWith('actor')),
    ['actor-started'],
  );
});

test('a detached actor needs a name', async (t) => {
  await using system = await createSystem({ bus: 'memory' });
  await t.throwsAsync(system.spawn(counter, {}, { lifetime: 'detached' }), {
    instanceOf: TypeError,
    message: /needs a name/,
  });
  const kept = await system.spawn(counter, {}, DETACHED);
  t.is(await (await system.get(counter, 'kept'))!.add(1), 1);
  await system.stop(kept);
});
