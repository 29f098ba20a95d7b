import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { startNatsServer } from '../support/nats-server.ts';

async function runScript(
  environment: Readonly<Record<string, string>>,
  name = 'one-file-script.ts',
) {
  const script = fileURLToPath(new URL(`../support/${name}`, import.meta.url));
  const child = spawn(process.execPath, [script], { env: { ...process.env, ...environment } });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { output, errors };
}

test('a script awaits a system of its own actors at its top level, on NATS', async (t) => {
  await using server = await startNatsServer();
  const { output, errors } = await runScript({ SCRIPT_BUS: server.url });
  t.is(output, 'doubled: 8\n', errors);
});

test('a script awaits a system of its own actors at its top level, on the local bus', async (t) => {
  const { output, errors } = await runScript({ SCRIPT_BUS: 'local' });
  t.is(output, 'doubled: 8\n', errors);
});

test('a script whose actors would start it again and again is told of import.meta.main', async (t) => {
  const { output, errors } = await runScript({ SCRIPT_BUS: 'local', SCRIPT_UNGUARDED: '1' });
  t.is(output, '');
  t.regex(errors, /call createSystem inside `if \(import\.meta\.main\)/);
});

test('a script that waits for a system above its actors is told to declare them first', async (t) => {
  await using server = await startNatsServer();
  const { errors } = await runScript({ SCRIPT_BUS: server.url }, 'late-actors-script.ts');
  t.regex(
    errors,
    /not evaluated after 3000 ms: .*declare its actors \(defineActor\) above that line/,
  );
});
