import { readFile } from 'node:fs/promises';
import test from 'ava';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { waitForProcessEnd } from '../../support/process-watch.ts';
import { fixture, makeFolder, startActorctl } from '../actorctl-process.ts';

const steadyJob = fixture('steady-job.ts');
/** Elsewhere nothing is known of other processes, and names are waited for. */
const onLinux = process.platform === 'linux' ? test : test.skip;
let server: NatsServer;
test.before(async () => {
  server = await startNatsServer();
});
test.after.always(() => server?.stop());

/** Kills a run that counts and resumes it; what the second one says until it counts. */
async function killAndResume(kill: (run: number, children: readonly number[]) => Promise<void>) {
  await using folder = await makeFolder();
  const nats = ['--nats', server.url, '--json'];
  const settings = ['--set', 'to=100000', '--set', 'pauseMs=20'];
  const args = ['run', steadyJob, ...nats, ...settings, '--run-dir', 'run', '--namespace'];
  await using first = startActorctl([...args, folder.path], folder.path);
  await first.waitForLine((line) => line.includes('"count":3,'));
  const { pid } = first.child;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  await kill(pid!, children.trim().split(' ').map(Number));
  await using again = startActorctl(['resume', 'run', ...nats], folder.path);
  await again.waitForLine((line) => line.includes('"count":'));
  return again.lines().filter((line) => line.includes('waiting until'));
}

onLinux('a run that was killed with all its processes is resumed without a wait', async (t) => {
  const waits = await killAndResume(async (run, children) => {
    for (const pid of [run, ...children]) process.kill(pid, 'SIGKILL');
    for (const pid of children) await waitForProcessEnd(pid);
  });
  t.deepEqual(waits, []);
});

onLinux('a run of which a process may still act is waited for, and that is said', async (t) => {
  let stopped: readonly number[] = [];
  try {
    const waits = await killAndResume(async (run, children) => {
      stopped = children;
      for (const pid of children) process.kill(pid, 'SIGSTOP');
      process.kill(run, 'SIGKILL');
    });
    t.is(waits.length, 1);
    t.regex(waits[0]!, /the name tally is that of an actor of node .* doesn't answer/);
  } finally {
    for (const pid of stopped) process.kill(pid, 'SIGKILL');
  }
});
