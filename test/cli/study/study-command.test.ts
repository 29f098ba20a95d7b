import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import {
  actorctl,
  countingJob,
  type JsonEvent,
  makeFolder,
  parseEvents,
  startActorctl,
} from '../actorctl-process.ts';

test('a study runs each arm with each seed, and leaves a report, a picture and its figures', async (t) => {
  await using folder = await makeFolder();
  const file = await writeStudy(folder.path, { arms: { short: { steps: 2 }, long: { steps: 4 } } });
  const args = ['study', file, '--run-dir', 'out', '--json'];
  const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
  t.is(exitCode, 0, stderr + stdout);
  const events = parseEvents(stdout);
  t.deepEqual(
    runsOf(events)
      .map(({ arm, seed, kind }) => `${arm} ${seed} ${kind}`)
      .sort(),
    ['long 1 finished', 'long 2 finished', 'short 1 finished', 'short 2 finished'],
  );
  const report = events.at(-1);
  t.is(report?.type, 'study-report');
  const out = join(folder.path, 'out');
  t.is(report?.report, join(out, 'report.html'));
  t.is(
    await readFile(join(out, 'figures.csv'), 'utf8'),
    'arm,seed,measure,value\nshort,1,loss,1.75\nlong,1,loss,1.75\nshort,2,loss,1.75\nlong,2,loss,1.75\n',
  );
  t.regex(
    await readFile(join(out, 'report.md'), 'utf8'),
    /long: held-out loss .* Exactly the same\./,
  );
  t.regex(await readFile(join(out, 'plot.svg'), 'utf8'), /^<svg .*<circle class="mean"/s);
  t.regex(await readFile(join(out, 'report.html'), 'utf8'), /<svg .*id="chart-data">/s);
  // What only a resumed run would need is gone.
  t.deepEqual((await readdir(join(out, 'runs', 'long', 'seed-2'))).sort(), [
    'events.jsonl',
    'report.html',
    'run.json',
  ]);
});

test('a finished run is not repeated, and more seeds are added to those that are there', async (t) => {
  await using folder = await makeFolder();
  const file = await writeStudy(folder.path, { arms: { only: { steps: 2 } } });
  const args = ['study', file, '--run-dir', 'out', '--json', '--set', 'mode=fancy'];
  t.is((await actorctl(args, folder.path)).exitCode, 0);
  const record = join(folder.path, 'out', 'runs', 'only', 'seed-1', 'run.json');
  const { mtimeMs } = await stat(record);
  const more = ['study', file, '--run-dir', 'out', '--json', '--seeds', '3'];
  const { exitCode, stdout } = await actorctl(more, folder.path);
  t.is(exitCode, 0, stdout);
  t.deepEqual(
    runsOf(parseEvents(stdout)).map(({ seed }) => seed),
    [3],
  );
  t.is((await stat(record)).mtimeMs, mtimeMs);
  // What was set at first still holds.
  const third = join(folder.path, 'out', 'runs', 'only', 'seed-3', 'run.json');
  t.is(JSON.parse(await readFile(third, 'utf8')).options.mode, 'fancy');
});

test('a failed run is told with its cause, the others go on, and the next time it is tried again', async (t) => {
  await using folder = await makeFolder();
  const file = await writeStudy(folder.path, {
    arms: { good: {}, bad: { failAtStep: 3, failWith: 'out of luck' } },
  });
  const args = ['study', file, '--run-dir', 'out', '--seeds', '1', '--json'];
  const first = await actorctl(args, folder.path);
  t.is(first.exitCode, 1);
  t.deepEqual(
    runsOf(parseEvents(first.stdout))
      .map(({ arm, kind }) => `${arm} ${kind}`)
      .sort(),
    ['bad failed', 'good finished'],
  );
  const page = join(folder.path, 'out', 'report.md');
  t.regex(await readFile(page, 'utf8'), /bad, seed 1, failed: out of luck \(exit code 1\)/);
  // The resumed run begins after the step that broke it.
  const second = await actorctl(args, folder.path);
  t.is(second.exitCode, 0, second.stdout);
  t.deepEqual(
    runsOf(parseEvents(second.stdout)).map(({ arm, kind }) => `${arm} ${kind}`),
    ['bad finished'],
  );
  t.notRegex(await readFile(page, 'utf8'), /failed/);
});

test('Ctrl-C lets the runs drain; the study goes on with them where they were', async (t) => {
  await using folder = await makeFolder();
  const file = await writeStudy(folder.path, { arms: { waits: { waitAtStep: 3 } } });
  const args = ['study', file, '--run-dir', 'out', '--seeds', '1', '--json'];
  await using first = startActorctl(args, folder.path);
  await first.waitForLine((line) => /"study-progress".*"share":0\.6/.test(line));
  first.child.kill('SIGINT');
  const stopped = await first.ended;
  t.is(stopped.exitCode, 130, stopped.stderr);
  t.deepEqual(parseEvents(stopped.stdout).at(-1), {
    type: 'interrupted',
    resume: `actorctl study ${file} --run-dir out`,
  });
  const { exitCode, stdout } = await actorctl(args, folder.path);
  t.is(exitCode, 0, stdout);
  const log = join(folder.path, 'out', 'runs', 'waits', 'seed-1', 'events.jsonl');
  const steps = parseEvents(await readFile(log, 'utf8')).filter(({ type }) => type === 'step');
  t.deepEqual(
    steps.map(({ step }) => step),
    [1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
  );
});

test('a study refuses what does not fit it, before anything runs', async (t) => {
  await using folder = await makeFolder();
  const file = await writeStudy(folder.path, { arms: { a: { steps: 2 } } });
  const refused = async (args: readonly string[], message: RegExp): Promise<void> => {
    const { exitCode, stderr } = await actorctl(['study', ...args], folder.path);
    t.is(exitCode, 2, stderr);
    t.regex(stderr, message);
  };
  await refused(['nonsense'], /There is no study nonsense. Studies: staleness/);
  await refused([file, '--set', 'steps=3'], /steps is set by the arms a of trial/);
  await refused([file, '--arms', 'b'], /--arms b: trial has the arms a\./);
  await refused([file, '--set', 'colour=red'], /counting has no option colour/);
  await refused([countingJob], /has no study as its default export/);
  await mkdir(join(folder.path, 'full'));
  await writeFile(join(folder.path, 'full', 'letter'), 'dear');
  await refused([file, '--run-dir', 'full'], /full isn't empty and holds no study/);
  t.is((await actorctl(['study', file, '--run-dir', 'out'], folder.path)).exitCode, 0);
  await refused(
    [file, '--run-dir', 'out', '--set', 'mode=fancy'],
    /is a run with other options \(mode "plain" there, "fancy" here\)/,
  );
});

interface StudyOptions {
  readonly arms: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A study of the counting job, whose first arm is the baseline; each arm has two seeds. */
async function writeStudy(folder: string, { arms }: StudyOptions): Promise<string> {
  const study = {
    name: 'trial',
    question: 'Does it count?',
    job: countingJob,
    arms: Object.entries(arms).map(([name, options]) => ({ name, options })),
    baseline: Object.keys(arms)[0],
    seeds: 2,
    measures: ['loss'],
  };
  await writeFile(join(folder, 'trial.ts'), `export default ${JSON.stringify(study)};\n`);
  return 'trial.ts';
}

function runsOf(events: readonly JsonEvent[]): readonly JsonEvent[] {
  return events.filter(({ type }) => type === 'study-run');
}
