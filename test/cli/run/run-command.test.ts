import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import {
  actorctl,
  countingJob,
  fixture,
  makeFolder,
  onlyRun,
  parseEvents,
} from '../actorctl-process.ts';

test('a run leaves its options, its events and a report in a new folder below runs', async (t) => {
  await using folder = await makeFolder();
  const { exitCode, stderr } = await actorctl(['run', countingJob, '--steps', '3'], folder.path);
  t.is(exitCode, 0, stderr);
  const run = await onlyRun(folder.path);
  t.regex(run, /\/counting-\d{8}-\d{6}$/);
  const record = JSON.parse(await readFile(join(run, 'run.json'), 'utf8'));
  t.is(record.state, 'finished');
  t.is(record.seed, 7);
  t.is(record.options.steps, 3);
  t.deepEqual(record.job, { name: 'counting', file: countingJob });
  const events = parseEvents(await readFile(join(run, 'events.jsonl'), 'utf8'));
  t.is(events.filter(({ type }) => type === 'step').length, 6);
  t.is(events.at(-1)?.type, 'result');
});

test('json output is one object per line, also when the job writes to the console', async (t) => {
  await using folder = await makeFolder();
  const args = ['run', countingJob, '--json', '--set', 'loud=true'];
  const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
  t.is(exitCode, 0, stderr);
  const events = parseEvents(stdout);
  t.is(events[0]?.type, 'run');
  const last = events.at(-1);
  t.is(last?.type, 'result');
  t.is(last?.run, await onlyRun(folder.path));
  t.is(last?.report, join(await onlyRun(folder.path), 'report.html'));
  t.regex(stderr, /a line on the console/);
});

test('piped output ends with a table of the result', async (t) => {
  await using folder = await makeFolder();
  const { stdout } = await actorctl(['run', countingJob], folder.path);
  t.regex(stdout, /replica-1 +│ +2\.250 +│ +9\.5 +│ +1,000 +│ +0\.5 \(max 1\)/);
  t.regex(stdout, /ensemble +│ +1\.125/);
  t.regex(stdout, /unigram baseline +│ +7\.500/);
  t.notRegex(stdout, new RegExp(String.fromCharCode(27)));
});

test('options come from --set and from their short forms, as the types that the schema says', async (t) => {
  await using folder = await makeFolder();
  const args = [
    'run',
    countingJob,
    '--json',
    '--replicas',
    '1',
    '--seed',
    '3',
    '--data',
    'a,b',
    'c',
  ];
  const set = ['--set', 'mode=fancy', '--set', 'model.layers=4', 'rate=1e-2'];
  const { exitCode, stdout } = await actorctl([...args, ...set], folder.path);
  t.is(exitCode, 0, stdout);
  t.like(parseEvents(stdout)[0], {
    seed: 3,
    options: {
      replicas: 1,
      seed: 3,
      data: [join(folder.path, 'a,b'), join(folder.path, 'c')],
      mode: 'fancy',
      model: { layers: 4 },
      rate: 0.01,
    },
  });
});

test('--run-dir that can not be a folder is named, with the reason', async (t) => {
  await using folder = await makeFolder();
  await writeFile(join(folder.path, 'a.csv'), 'a\n');
  for (const [path, message] of [
    ['a.csv', /a\.csv: it is a file, or in one, and no directory\. Give --run-dir/],
    ['a.csv/run', /a\.csv: it is a file and no directory\. Give --run-dir/],
    [`${'long'.repeat(100)}`, /the name is too long\. Give --run-dir/],
  ] as const) {
    const args = ['run', countingJob, '--steps', '1', '--run-dir', path];
    const { exitCode, stderr } = await actorctl(args, folder.path);
    t.is(exitCode, 2, stderr);
    t.regex(stderr, message);
    t.notRegex(stderr, /\n\s+at /);
  }
});

test('--run-dir takes a new folder and refuses one with something in it', async (t) => {
  await using folder = await makeFolder();
  const args = ['run', countingJob, '--steps', '1', '--run-dir', 'deep/mine'];
  t.is((await actorctl(args, folder.path)).exitCode, 0);
  const record = await readFile(join(folder.path, 'deep/mine/run.json'), 'utf8');
  const again = await actorctl(args, folder.path);
  t.is(again.exitCode, 2);
  t.regex(again.stderr, /isn't empty.*actorctl resume/);
  t.is(await readFile(join(folder.path, 'deep/mine/run.json'), 'utf8'), record);
});

test('a job outside of the package finds codistill and valibot', async (t) => {
  await using folder = await makeFolder();
  await mkdir(join(folder.path, 'elsewhere'));
  const file = join(folder.path, 'elsewhere', 'job.ts');
  await writeFile(file, await readFile(countingJob, 'utf8'));
  const { exitCode, stderr } = await actorctl(['run', 'elsewhere/job.ts'], folder.path);
  t.is(exitCode, 0, stderr);
});

test('a job that fails gives exit code 1, its message, and how to go on', async (t) => {
  await using folder = await makeFolder();
  const args = ['run', countingJob, '--json', '--set', 'failAtStep=2'];
  const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
  t.is(exitCode, 1);
  const last = parseEvents(stdout).at(-1);
  t.deepEqual(last, { type: 'error', code: 'FAILED', message: 'the job broke' });
  t.regex(stderr, /begin again with the same options: actorctl resume/);
  t.regex(await readFile(join(await onlyRun(folder.path), 'run.json'), 'utf8'), /"failed"/);
});

interface Mistake {
  readonly title: string;
  readonly args: readonly string[];
  readonly message: RegExp;
}

const mistakes: readonly Mistake[] = [
  { title: 'no job', args: ['run'], message: /Which job\?.*lm-codistill/ },
  { title: 'an unknown example', args: ['run', 'nope'], message: /no example nope.*lm-codistill/ },
  { title: 'a missing file', args: ['run', 'nope.ts'], message: /no file .*nope\.ts/ },
  {
    title: 'a file without a job',
    args: ['run', fixture('no-job.ts')],
    message: /no job as its default export.*defineJob/,
  },
  {
    title: 'a file that breaks while it loads',
    args: ['run', fixture('broken-job.ts')],
    message: /broken-job\.ts can't be loaded: broken on purpose/,
  },
  {
    title: 'an unknown option',
    args: ['run', countingJob, '--set', 'stepz=3'],
    message: /no option stepz[\s\S]*\n {2}steps {2}how far/,
  },
  {
    title: 'a value out of range',
    args: ['run', countingJob, '--steps', '0'],
    message: /steps: got 0, allowed is a whole number from 1 to 1000000/,
  },
  {
    title: 'a value that is no number',
    args: ['run', countingJob, '--set', 'steps=many'],
    message: /steps: got "many", allowed is a whole number/,
  },
  {
    title: 'a value that is no choice',
    args: ['run', countingJob, '--set', 'mode=odd'],
    message: /mode: got "odd", allowed is one of plain, fancy/,
  },
  {
    title: 'an option given twice',
    args: ['run', countingJob, '--steps', '2', '--set', 'steps=3'],
    message: /steps was given twice/,
  },
  {
    title: '--set without a value',
    args: ['run', countingJob, '--set', 'steps'],
    message: /key=value/,
  },
  {
    title: 'an unknown flag',
    args: ['run', countingJob, '--nope'],
    message: /unknown option '--nope'/,
  },
  { title: 'an unknown command', args: ['frobnicate'], message: /unknown command 'frobnicate'/ },
  { title: 'a node without a server', args: ['node'], message: /--nats/ },
  {
    title: 'an address that is none',
    args: ['run', countingJob, '--nats', 'http://secret@nowhere'],
    message: /--nats wants an address/,
  },
  { title: 'no nodes to wait for', args: ['run', 'x', '--wait-nodes', '0'], message: /at least 1/ },
];

for (const { title, args, message } of mistakes) {
  // In turn: forty processes at once would only make each other slow.
  test.serial(
    `${title} gives exit code 2 and says what is wrong, and nothing is written`,
    async (t) => {
      await using folder = await makeFolder();
      const [plain, json] = await Promise.all([
        actorctl(args, folder.path),
        actorctl([...args, '--json'], folder.path),
      ]);
      t.is(plain.exitCode, 2);
      t.regex(plain.stderr, message);
      t.notRegex(plain.stderr, /secret|\n {4}at /);
      t.is(plain.stdout, '');
      t.is(json.exitCode, 2);
      const [error, ...rest] = parseEvents(json.stdout);
      t.like(error, { type: 'error', code: 'USER_INPUT' });
      t.regex(String(error?.message), message);
      t.deepEqual(rest, []);
      await t.throwsAsync(onlyRun(folder.path), { code: 'ENOENT' });
    },
  );
}
