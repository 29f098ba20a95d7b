import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { startNatsServer } from '../support/nats-server.ts';

const script = fileURLToPath(new URL('../support/one-file-script.ts', import.meta.url));

async function runScript(environment: Readonly<Record<string, string>>) {
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
