import test from 'ava';
import { createSystem, withCallOptions } from '../../../runtime/index.ts';
import { startNodeProcess } from '../../support/node-process.ts';
import { waitForProcessEnd } from '../../support/process-watch.ts';
import { shareNatsServer } from '../../support/shared-nats-server.ts';
import { counter } from '../../support/test-actors.ts';

const common = shareNatsServer();

/** Calls until the actor no longer answers within a second; what it did not begin it did not do. */
async function untilSilent(read: () => Promise<number>): Promise<void> {
  for (;;) {
    try {
      await read();
    } catch (error) {
      if ((error as { code?: string }).code === 'DEADLINE') return;
      throw error;
    }
  }
}

test('an actor whose owner is paused stops acting, and goes on when its owner does', async (t) => {
  await using host = await startNodeProcess(common('paused'));
  await using owner = await startNodeProcess(common('paused'), 'owner');
  const { nodeId } = (await owner.nextLine()) as { nodeId: string };
  t.is(nodeId, host.nodeId);
  await using system = await createSystem({ ...common('paused'), modules: [] });
  const found = (await system.get(counter, 'owned'))!;
  t.is(await found.add(1), 1);
  owner.send('SIGSTOP');
  const impatient = withCallOptions(found, { timeoutMs: 1_000 });
  await untilSilent(() => impatient.read());
  const waiting = found.add(1);
  owner.send('SIGCONT');
  t.is(await waiting, 2, 'what waited is done once');
});

test('a name is taken from a silent owner only when its actor can no longer act', async (t) => {
  await using _host = await startNodeProcess(common('taken'));
  await using owner = await startNodeProcess(common('taken'), 'owner');
  const { pid } = (await owner.nextLine()) as { pid: number };
  await using heir = await createSystem({ ...common('taken'), modules: [] });
  const old = withCallOptions((await heir.get(counter, 'owned'))!, { timeoutMs: 1_000 });
  t.is(await old.add(1), 1);
  await t.throwsAsync(heir.spawn(counter, {}, { name: 'owned', isolation: 'inline' }), {
    code: 'NAME_TAKEN',
  });
  owner.send('SIGSTOP');
  const heirs = await heir.spawn(counter, {}, { name: 'owned', isolation: 'inline' });
  t.is(await heirs.add(10), 10);
  await t.throwsAsync(old.add(1), undefined, 'the old one does not act beside the new one');
  owner.send('SIGCONT');
  await waitForProcessEnd(pid);
  t.is(await heirs.add(10), 20);
  const found = await heir.get(counter, 'owned');
  t.is((await found!.describe()).pid, process.pid);
});

test('an actor is found by its name, and shared by who asks for it', async (t) => {
  const [one, other] = [await createSystem(common('found')), await createSystem(common('found'))];
  try {
    t.is(await other.get(counter, 'shared'), undefined);
    const options = { name: 'shared', isolation: 'inline', getIfExists: true } as const;
    const handles = await Promise.all([
      one.spawn(counter, {}, options),
      other.spawn(counter, {}, options),
      one.spawn(counter, {}, options),
    ]);
    for (const handle of handles) await handle.add(1);
    const found = await other.get(counter, 'shared');
    t.is(await found!.read(), 3);
    const type = { ...counter, type: 'test/other' };
    await t.throwsAsync(other.get(type, 'shared'), { instanceOf: TypeError });
    await t.throwsAsync(other.spawn(type, {}, options), { code: 'NAME_TAKEN' });
    await t.throwsAsync(one.spawn(counter, {}, { getIfExists: true }), { instanceOf: TypeError });
    await Promise.all([one.close(), other.close()]);
    await using later = await createSystem(common('found'));
    t.is(await later.get(counter, 'shared'), undefined, 'the name ended with its actor');
  } finally {
    await Promise.all([one.close(), other.close()]);
  }
});
