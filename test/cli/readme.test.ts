import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { actorctl, makeFolder, parseEvents } from './actorctl-process.ts';

test("the README's job runs from a folder without codistill, its actor in a process of its own", async (t) => {
  await using folder = await makeFolder();
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const [, source = ''] = readme.match(/```ts\n([\s\S]*?)```/) ?? [];
  await writeFile(join(folder.path, 'counting.ts'), source);
  const args = ['run', 'counting.ts', '--set', 'to=3', '--json'];
  const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
  t.is(exitCode, 0, stderr + stdout);
  const events = parseEvents(stdout);
  t.deepEqual(
    events.filter(({ type }) => type === 'sum').map(({ sum }) => sum),
    [1, 3, 6],
  );
  const started = events.find(({ type, event }) => type === 'actor' && event === 'started');
  t.is(started?.actorType, 'example/counter');
  t.true(Number(started?.pid) > 0);
});
