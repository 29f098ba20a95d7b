import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { readHostProcesses } from '../../../runtime/nodes/host-process.ts';

/** Waits for ever; `words` are further arguments of its command line. */
async function startIdle(...words: readonly string[]) {
  const program = 'console.log("up"); setInterval(() => {}, 1000)';
  const child = spawn(process.execPath, ['-e', program, '--', ...words]);
  await once(child.stdout, 'data');
  return {
    async end() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('a node has ended with the last process that has its id', async (t) => {
  const { own, haveEnded } = await readHostProcesses();
  t.is(own?.pid, process.pid);
  t.false(await haveEnded(own!, 'n1'), 'it lives');
  const earlier = { ...own!, startedAt: '1' };
  t.true(await haveEnded(earlier, 'n1'), 'a later process has its pid');
  t.false(
    await haveEnded({ ...earlier, host: 'another' }, 'n1'),
    'nothing is known of other hosts',
  );
  const actor = await startIdle('n1');
  t.false(await haveEnded(earlier, 'n1'), 'its actor lives on');
  t.true(await haveEnded(earlier, 'n2'));
  await actor.end();
  t.true(await haveEnded(earlier, 'n1'));
});
