import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { startNatsServer } from '../../support/nats-server.ts';
import { actorctl, countingJob, makeFolder, parseEvents } from '../actorctl-process.ts';

test('over a server each run has a namespace to itself while it runs', async (t) => {
  const server = await startNatsServer();
  t.teardown(() => server.stop());
  await using folder = await makeFolder();
  const study = {
    name: 'trial',
    question: 'Does it spread?',
    job: countingJob,
    arms: [{ name: 'only', options: { steps: 2 } }],
    baseline: 'only',
    seeds: 3,
    measures: ['loss'],
  };
  await writeFile(join(folder.path, 'trial.ts'), `export default ${JSON.stringify(study)};\n`);
  const args = ['study', 'trial.ts', '--run-dir', 'out', '--json', '--nats', server.url];
  const { exitCode, stdout, stderr } = await actorctl(
    [...args, '--namespace', 'east', 'west'],
    folder.path,
  );
  t.is(exitCode, 0, stderr + stdout);
  const finished = parseEvents(stdout).filter(({ kind }) => kind === 'finished');
  const namespaces = await Promise.all(
    finished.map(async ({ seed }) => {
      const path = join(folder.path, 'out', 'runs', 'only', `seed-${seed}`, 'run.json');
      return [seed, JSON.parse(await readFile(path, 'utf8')).bus.namespace];
    }),
  );
  t.deepEqual(namespaces.sort(), [
    [1, 'east'],
    [2, 'west'],
    [3, 'east'],
  ]);
});
