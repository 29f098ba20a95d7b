import test, { type ExecutionContext } from 'ava';
import { connectNatsBus } from '../../../runtime/bus/connect-nats.ts';
import { DeadEntries } from '../../../runtime/nodes/dead-entries.ts';
import { Registration } from '../../../runtime/nodes/registration.ts';
import { createMemoryRegister } from '../../../runtime/registry/memory-register.ts';
import { openNatsRegister } from '../../../runtime/registry/open-register.ts';
import { type Register, registerKey } from '../../../runtime/registry/register.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { startNatsServer } from '../../support/nats-server.ts';

const WAIT = { timeoutMs: 10_000 };
/** By then what can go is gone. */
const BOUND_MS = 120_000;

async function enter(register: Register, ...nodeIds: readonly string[]): Promise<void> {
  for (const id of nodeIds) await register.create(registerKey('nodes', id), { beat: 0 }, WAIT);
}

function nameOf(node: string): object {
  return { address: { name: 'x', type: 't', owner: node, methods: {} }, node, nodeEpoch: 1 };
}

async function left(register: Register): Promise<readonly string[]> {
  return (await register.list('nodes', WAIT)).map(({ key }) => key);
}

function look(t: ExecutionContext, register: Register, alive: ReadonlySet<string>, first = true) {
  const clock = createManualClock();
  const isMissing = (nodeId: string): boolean => !alive.has(nodeId);
  const entries = new DeadEntries({ register, clock, isMissing, isFirst: () => first });
  t.teardown(() => entries.close());
  return clock;
}

test('entries of dead nodes go at the second look, those of living ones stay', async (t) => {
  const register = createMemoryRegister();
  await enter(register, 'alive', 'dead', 'später.tot');
  const clock = look(t, register, new Set(['alive']));
  await clock.advance(BOUND_MS / 2);
  t.is((await left(register)).length, 3, 'a node that is only away is given time');
  await clock.advance(BOUND_MS / 2);
  t.deepEqual(await left(register), ['nodes.alive']);
});

test('an entry stays as long as a detached actor refers to it', async (t) => {
  const register = createMemoryRegister();
  await enter(register, 'dead', 'host');
  const detached = { plan: {}, epoch: 1, nodeId: 'host', restarts: 0 };
  const name = (await register.create('names.b', { ...nameOf('dead'), detached }, WAIT))!;
  const clock = look(t, register, new Set());
  await clock.advance(3 * BOUND_MS);
  t.deepEqual(await left(register), ['nodes.dead', 'nodes.host']);
  const moved = { ...nameOf('other'), detached };
  const written = (await register.update('names.b', moved, name, WAIT))!;
  await clock.advance(BOUND_MS);
  t.deepEqual(await left(register), ['nodes.host']);
  await register.delete('names.b', written, WAIT);
  await clock.advance(BOUND_MS);
  t.deepEqual(await left(register), []);
});

test('names of actors that died with their node go with it, once it is fenced off', async (t) => {
  const register = createMemoryRegister();
  const clock = look(t, register, new Set(['alive']));
  const lost: string[] = [];
  const [dead, alive] = ['dead', 'alive'].map(
    (nodeId) =>
      new Registration({
        register,
        clock: createManualClock(),
        nodeId,
        nodeName: nodeId,
        mark: nodeId,
        shared: true,
        processes: undefined,
        life: undefined,
        reclaim: async () => void lost.push(nodeId),
        onReplaced: () => t.fail(),
        log: () => {},
      }),
  ) as [Registration, Registration];
  await Promise.all([dead.enter(), alive.enter()]);
  await register.create('names.a', nameOf('dead'), WAIT);
  await register.create('names.b', nameOf('alive'), WAIT);
  await clock.advance(BOUND_MS);
  const keys = (await register.list('', WAIT)).map(({ key }) => key);
  t.deepEqual(keys, ['names.b', 'nodes.alive']);
  // It was only away: it learns that before it can act under a name again.
  await dead.hold();
  t.deepEqual(lost, ['dead']);
  t.deepEqual(await left(register), ['nodes.alive', 'nodes.dead']);
});

test('an entry that changes is that of a node that lives', async (t) => {
  const register = createMemoryRegister();
  await enter(register, 'hidden');
  const clock = look(t, register, new Set());
  for (let passed = 0; passed < 3 * BOUND_MS; passed += BOUND_MS / 4) {
    await clock.advance(BOUND_MS / 4);
    const entry = (await register.get('nodes.hidden', WAIT))!;
    await register.update(entry.key, { beat: passed }, entry.revision, WAIT);
  }
  t.deepEqual(await left(register), ['nodes.hidden']);
});

test('a node that comes back while its entry is about to go keeps it', async (t) => {
  const register = createMemoryRegister();
  await enter(register, 'back');
  const listing = Object.assign(Object.create(register) as Register, {
    list: async (prefix: string) => {
      const entries = await register.list(prefix, WAIT);
      const entry = await register.get('nodes.back', WAIT);
      // After the last look at it, before it would be deleted.
      if (prefix === 'names') await register.update('nodes.back', 1, entry!.revision, WAIT);
      return entries;
    },
    delete: register.delete.bind(register),
  });
  await look(t, listing, new Set()).advance(BOUND_MS);
  t.deepEqual(await left(register), ['nodes.back']);
});

test('a name that can not be read keeps all entries', async (t) => {
  const register = createMemoryRegister();
  await enter(register, 'dead');
  await register.create('names.a', { of: 'a later version' }, WAIT);
  await look(t, register, new Set()).advance(3 * BOUND_MS);
  t.deepEqual(await left(register), ['nodes.dead']);
});

test('who is not the first deletes nothing', async (t) => {
  const register = createMemoryRegister();
  await enter(register, 'dead');
  await look(t, register, new Set(), false).advance(3 * BOUND_MS);
  t.deepEqual(await left(register), ['nodes.dead']);
});

test('several that look at once on a NATS server delete each entry once, and none that is needed', async (t) => {
  await using server = await startNatsServer({ jetstream: true });
  const bus = await connectNatsBus({ servers: server.url, timeoutMs: 10_000 });
  const register = await openNatsRegister(bus, 'test', WAIT);
  const dead = Array.from({ length: 40 }, (_, index) => `dead-${index}`);
  await enter(register, 'alive', 'needed', ...dead);
  const detached = { plan: {}, epoch: 1, nodeId: 'needed', restarts: 0 };
  await register.create('names.a', { ...nameOf('needed'), detached }, WAIT);
  const deleted: string[] = [];
  const told = Promise.withResolvers<void>();
  await register.watch(
    'nodes',
    ({ type, key }) => {
      if (type === 'deleted') deleted.push(key);
      if (deleted.length === dead.length) told.resolve();
    },
    WAIT,
  );
  let succeeded = 0;
  const counting = Object.assign(Object.create(register) as Register, {
    list: register.list.bind(register),
    delete: async (...args: Parameters<Register['delete']>) => {
      const done = await register.delete(...args);
      if (done) succeeded += 1;
      return done;
    },
  });
  const alive = new Set(['alive']);
  const clocks = [look(t, counting, alive), look(t, counting, alive)];
  // A clock doesn't wait for the server, so each look has its own step and is awaited by its effect.
  const going = (async () => {
    while (deleted.length < dead.length) {
      await Promise.all(clocks.map((clock) => clock.advance(BOUND_MS / 4)));
      await register.get('nodes.alive', WAIT);
    }
  })();
  await Promise.all([told.promise, going]);
  t.is(succeeded, dead.length);
  t.deepEqual(await left(register), ['nodes.alive', 'nodes.needed']);
  await register.close();
  await bus.close();
});
