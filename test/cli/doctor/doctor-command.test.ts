import test from 'ava';
import { actorctl, makeFolder, parseEvents } from '../actorctl-process.ts';

test('doctor tells what works here, engine by engine', async (t) => {
  await using folder = await makeFolder();
  const { exitCode, stdout, stderr } = await actorctl(['doctor', '--json'], folder.path);
  t.is(exitCode, 0, stderr);
  const events = parseEvents(stdout);
  const statusOf = (name: string) => events.find((event) => event.name === name)?.status;
  t.is(statusOf('node'), 'ok');
  t.is(statusOf('temporary folder'), 'ok');
  t.true(events.some(({ name, status }) => /^engine /.test(String(name)) && status === 'ok'));
  t.deepEqual(events.at(-1), { type: 'result', ok: true, failed: [] });
});

test('doctor fails for a server that can not be reached, and says what to do', async (t) => {
  await using folder = await makeFolder();
  const args = ['doctor', '--nats', 'nats://127.0.0.1:1'];
  const { exitCode, stdout } = await actorctl(args, folder.path);
  t.is(exitCode, 1);
  t.regex(stdout, /failed +nats-server .*127\.0\.0\.1:1/);
  t.regex(stdout, /Start a server/);
  t.regex(stdout, /Not ready: nats-server\.\n$/);
});
