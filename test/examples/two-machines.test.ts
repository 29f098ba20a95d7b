import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { makeFolder, parseEvents, startActorctl } from '../cli/actorctl-process.ts';
import { freePortRow } from '../support/free-port.ts';
import { findNatsServer } from '../support/nats-server.ts';

const example = new URL('../../examples/04-two-machines/', import.meta.url);

test('the commands for one machine in the README do what it says', async (t) => {
  const readme = await readFile(new URL('README.md', example), 'utf8');
  const [, block = ''] = /On one machine[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme) ?? [];
  const ports = [await freePortRow(), await freePortRow()];
  const module = fileURLToPath(new URL('two-machines.ts', example));
  // Other tests use the usual ports at the same time.
  const commands = block
    .trim()
    .split('\n')
    .map((line) =>
      line
        .replaceAll('examples/04-two-machines/two-machines.ts', module)
        .replace('--dir a', `--dir a --port ${ports[0]}`)
        .replace('--join 127.0.0.1', `--join 127.0.0.1:${ports[0]}`)
        .replace('--port 4322', `--port ${ports[1]}`)
        .split(' ')
        .slice(1),
    );
  t.is(commands.length, 3);
  await using folder = await makeFolder();
  const environment = { CODISTILL_NATS_SERVER: await findNatsServer() };
  const start = (index: number, more: readonly string[]) =>
    startActorctl([...commands[index]!, '--json', ...more], folder.path, environment);
  await using first = start(0, []);
  await first.waitForLine((line) => line.includes('"joined"'));
  await using second = start(1, []);
  await second.waitForLine((line) => line.includes('"joined"'));
  await using run = start(2, ['--set', 'darts=100000', '--set', 'rounds=3']);
  const { exitCode, stdout, stderr } = await run.ended;
  t.is(exitCode, 0, stderr + stdout);
  const rounds = parseEvents(stdout).filter(({ type }) => type === 'round');
  t.is(rounds.length, 3);
  t.true(Math.abs((rounds.at(-1)?.pi as number) - Math.PI) < 0.02);
  const nodes = rounds.at(-1)?.nodes as readonly string[];
  t.true(nodes.includes('first') && nodes.includes('second'), nodes.join());
  for (const up of [second, first]) {
    up.child.kill('SIGINT');
    t.is((await up.ended).exitCode, 0);
  }
});

test('the example is short', async (t) => {
  const source = await readFile(new URL('two-machines.ts', example), 'utf8');
  t.true(source.trimEnd().split('\n').length < 60);
});
