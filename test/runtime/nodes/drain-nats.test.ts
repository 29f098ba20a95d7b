import test from 'ava';
import { type ActorEvent, createSystem } from '../../../runtime/index.ts';
import { startNodeProcess } from '../../support/node-process.ts';
import { waitForProcessEnd } from '../../support/process-watch.ts';
import { shareNatsServer } from '../../support/shared-nats-server.ts';
import { counter } from '../../support/test-actors.ts';

const common = shareNatsServer();

test('a drained node hands its actors over, and no call is lost or done twice', async (t) => {
  await using far = await startNodeProcess(common('drained'));
  await using system = await createSystem(common('drained'));
  await system.waitForNodes(2, { timeoutMs: 20_000 });
  const events: ActorEvent[] = [];
  system.onActorEvent((event) => events.push(event));
  const actor = await system.spawn(counter, {}, { name: 'moved', placement: 'spread' });
  const other = await system.spawn(counter, {}, { placement: 'spread' });
  const places = await Promise.all([actor, other].map((one) => one.describe()));
  const there = [actor, other][places.findIndex(({ nodeId }) => nodeId === far.nodeId)]!;
  let drained = false;
  const draining = system.drainNode(far.nodeId, { timeoutMs: 30_000 }).then(() => {
    drained = true;
  });
  let counted = 0;
  while (!drained || (await there.describe()).nodeId === far.nodeId) {
    const answers = await Promise.all([there.add(1), there.add(1), there.add(1)]);
    t.deepEqual(answers, [counted + 1, counted + 2, counted + 3]);
    counted += 3;
  }
  await draining;
  t.is((await there.describe()).nodeId, system.nodeId);
  t.is(await there.read(), counted);
  t.true(counted > 0);
  await waitForProcessEnd(far.pid);
  t.deepEqual(
    events.filter(({ event }) => event === 'died'),
    [],
    'moving is no death',
  );
});

test('a node that is drained takes no new actors', async (t) => {
  const [staying, leaving] = [
    await createSystem(common('closed')),
    await createSystem(common('closed')),
  ];
  try {
    await staying.waitForNodes(2, { timeoutMs: 20_000 });
    await leaving.drain({ timeoutMs: 5_000 });
    const there = { placement: { nodeId: leaving.nodeId } };
    await t.throwsAsync(staying.spawn(counter, {}, there), {
      code: 'PLACEMENT',
      message: /is about to leave/,
    });
  } finally {
    await Promise.all([staying.close(), leaving.close()]);
  }
});
