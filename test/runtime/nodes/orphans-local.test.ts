import test from 'ava';
import { startNodeProcess } from '../../support/node-process.ts';
import { waitForProcessEnd } from '../../support/process-watch.ts';

test('no process outlives its killed owner, with or without an actor in it', async (t) => {
  await using owner = await startNodeProcess({ bus: 'local', warmProcesses: 2 }, 'owner');
  const { pid, pids } = (await owner.nextLine()) as { pid: number; pids: readonly number[] };
  t.true(pids.includes(pid));
  t.true(pids.length >= 2, 'one with the actor, one kept warm');
  owner.send('SIGKILL');
  for (const child of pids) await waitForProcessEnd(child);
});
