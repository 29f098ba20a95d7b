import test from 'ava';
import { createMemoryNetwork } from '../../../runtime/bus/memory-bus.ts';
import { type NameRecord, nameKey } from '../../../runtime/nodes/name-record.ts';
import { Names } from '../../../runtime/nodes/names.ts';
import { Registration } from '../../../runtime/nodes/registration.ts';
import { planSpawn } from '../../../runtime/nodes/spawn-options.ts';
import { createMemoryRegister } from '../../../runtime/registry/memory-register.ts';
import type { Register } from '../../../runtime/registry/register.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const WAIT = { timeoutMs: 1_000 };
const address = { name: 'x', type: 'a/b', owner: '@x', methods: {} };
const plan = planSpawn({ name: 'x', lifetime: 'detached' }, 'x', 'inline');
const detached = { plan, epoch: 3, nodeId: 'gone', restarts: 0 };

/** Names of a node, and what acknowledges its next write of that key, which has happened before. */
async function createNames(register: Register, heldKey: string) {
  const clock = createManualClock();
  const link = { connected: true, connectedSince: 0, usable: true, close: () => {} };
  const bus = createMemoryNetwork().connect();
  const endpoint = { bus, clock, namespace: 'test', nodeId: 'here', link };
  const acknowledged = Promise.withResolvers<void>();
  /** Runs between what a read of the register found and its answer. */
  const afterRead: { next?: () => void } = {};
  const lost: string[] = [];
  const slow: Register = {
    async get(...args) {
      const entry = await register.get(...args);
      const { next } = afterRead;
      delete afterRead.next;
      next?.();
      return entry;
    },
    create: (...args) => register.create(...args),
    delete: (...args) => register.delete(...args),
    list: (...args) => register.list(...args),
    watch: (...args) => register.watch(...args),
    close: () => register.close(),
    async update(...args) {
      const revision = await register.update(...args);
      if (args[0] === heldKey) await acknowledged.promise;
      return revision;
    },
  };
  const registration = new Registration({
    register,
    clock,
    nodeId: 'here',
    nodeName: 'here',
    mark: 'here',
    shared: true,
    processes: undefined,
    life: undefined,
    reclaim: async () => {},
    onReplaced: () => {},
    log: () => {},
  });
  await registration.enter();
  const names = new Names({
    endpoint,
    register: slow,
    registration,
    proofs: { processes: undefined, life: undefined },
    sightingOf: () => undefined,
    onWait: () => {},
    onLost: (name) => void lost.push(name),
  });
  return { names, clock, lost, afterRead, acknowledge: () => acknowledged.resolve() };
}

test('a name that its node is taking over is not taken for a leftover by who claims it', async (t) => {
  const register = createMemoryRegister();
  const record: NameRecord = { address, node: 'gone', nodeEpoch: 1, detached };
  await register.create(nameKey('x'), record, WAIT);
  const { names, clock, acknowledge } = await createNames(register, nameKey('x'));
  const [orphan] = await names.orphans(() => true);
  const adopting = names.adopt(orphan!);
  // The write has happened; that it has is not known here yet.
  await clock.advance(10);
  const claiming = names.claim(address, { ...detached, epoch: 1 });
  await clock.advance(10);
  acknowledge();
  t.is((await adopting).state, 'left');
  t.deepEqual(await claiming, address, 'it is shared, not begun again');
  const entry = await register.get(nameKey('x'), WAIT);
  t.is((entry!.value as NameRecord).detached!.epoch, 3);
});

test('a name that is being claimed is no orphan for its own node', async (t) => {
  const register = createMemoryRegister();
  const record: NameRecord = { address, node: 'gone', nodeEpoch: 1, detached };
  await register.create(nameKey('x'), record, WAIT);
  const { names } = await createNames(register, nameKey('none'));
  const [orphan] = await names.orphans(() => true);
  const claiming = names.claim(address, detached);
  t.is((await names.adopt(orphan!)).state, 'alive');
  t.deepEqual(await claiming, address);
  t.is((await names.adopt(orphan!)).state, 'left');
});

// Seed 100742 of the scenarios: the actor was lost, and begun anew by who spawned it next.
test('a name that a life is written into while its node takes it back is not lost', async (t) => {
  const register = createMemoryRegister();
  const { names, lost, afterRead } = await createNames(register, nameKey('none'));
  await names.claim(address, detached);
  let amended: Promise<void> | undefined;
  afterRead.next = () => {
    amended = names.amend(address, { ...detached, epoch: 4 });
  };
  await names.reclaim();
  await amended;
  t.deepEqual(lost, []);
  await names.amend(address, { ...detached, epoch: 5 });
  const entry = await register.get(nameKey('x'), WAIT);
  t.is((entry!.value as NameRecord).detached!.epoch, 5);
});

test('a detached actor that lived is not begun anew by its node, which lost sight of it', async (t) => {
  const register = createMemoryRegister();
  const { names } = await createNames(register, nameKey('none'));
  await names.claim(address, detached);
  names.release('x');
  t.deepEqual(await names.claim(address, { ...detached, epoch: 0 }), address);
  t.is((await names.orphans(() => false)).length, 1);
});
