import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { encode as encodePng } from 'fast-png';
import { actorctl, makeFolder, parseEvents } from '../actorctl-process.ts';

test('a plan is the same in JSON, in YAML and as a module, and --set has the last word', async (t) => {
  await using folder = await makeFolder();
  const plan = { job: 'lm-codistill', replicas: 3, model: { hiddenSize: 64 }, data: ['a.txt'] };
  await writeFile(join(folder.path, 'a.txt'), 'a text');
  await writeFile(join(folder.path, 'plan.json'), JSON.stringify(plan));
  await writeFile(
    join(folder.path, 'plan.yaml'),
    'job: lm-codistill\nreplicas: 3\nmodel: { hiddenSize: 64 }\ndata: [a.txt]\n',
  );
  const module = `const plan: object = ${JSON.stringify(plan)};\nexport default plan;\n`;
  await writeFile(join(folder.path, 'plan.mts'), module);
  for (const file of ['plan.json', 'plan.yaml', 'plan.mts']) {
    const args = ['plan', 'check', '--plan', file, '--json', '--set', 'model.layers=3', 'seed=9'];
    const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
    t.is(exitCode, 0, stderr);
    const [event] = parseEvents(stdout);
    t.like(event, { type: 'plan', job: 'lm-codistill' });
    t.like(event?.options, {
      replicas: 3,
      seed: 9,
      model: { hiddenSize: 64, layers: 3 },
      data: [join(folder.path, 'a.txt')],
    });
  }
});

test('every wrong field of a plan is named at once, with what is allowed', async (t) => {
  await using folder = await makeFolder();
  await writeFile(
    join(folder.path, 'plan.yaml'),
    'job: lm-codistill\nreplica: 2\nmodel: { hiddenSise: 4, layers: 0 }\n' +
      'perReplica: { "2": { optimizer: { kind: adagard } } }\n',
  );
  const { exitCode, stderr } = await actorctl(
    ['plan', 'check', '--plan', 'plan.yaml'],
    folder.path,
  );
  t.is(exitCode, 2);
  t.regex(stderr, /replica: there is no such option; there are .*replicas/);
  t.regex(stderr, /model\.hiddenSise: there is no such option; there are .*hiddenSize/);
  t.regex(stderr, /model\.layers: got 0, allowed is a whole number from 1 to 64/);
  t.regex(
    stderr,
    /perReplica\.2\.optimizer\.kind: got "adagard", allowed is one of adam, sgd, momentum, adagrad/,
  );
});

test('fields that do not go together are named as well', async (t) => {
  await using folder = await makeFolder();
  const set = ['optimizer.kind=sgd', 'optimizer.beta1=0.5', 'perReplica.7.seed=3'];
  const { exitCode, stderr } = await actorctl(
    ['plan', 'check', 'lm-codistill', '--set', ...set],
    folder.path,
  );
  t.is(exitCode, 2);
  t.regex(stderr, /optimizer\.beta1: got 0\.5, allowed is nothing: sgd takes no settings/);
  t.regex(stderr, /perReplica\.7: got 7, allowed is the number of a replica, 1 to 2/);
});

for (const [text, message] of [
  ['[1, 2]', /is no plan: it has to be an object of options/],
  ['{"job": 3}', /job of plan\.json: got 3, allowed is the name of an example or a file/],
  ['{', /plan\.json can't be read: /],
] as const) {
  test(`${text} is refused as a plan`, async (t) => {
    await using folder = await makeFolder();
    await writeFile(join(folder.path, 'plan.json'), text);
    const result = await actorctl(['plan', 'check', '--plan', 'plan.json'], folder.path);
    t.is(result.exitCode, 2);
    t.regex(result.stderr, message);
  });
}

test('show says what goes where and what travels: a ring of three on two nodes', async (t) => {
  await using folder = await makeFolder();
  const set = ['topology=ring', 'exchange.codec=int8', 'perReplica.3.model.hiddenSize=128'];
  const { exitCode, stdout, stderr } = await actorctl(
    ['plan', 'show', 'lm-codistill', '--replicas', '3', '--nodes', '2', '--json', '--set', ...set],
    folder.path,
  );
  t.is(exitCode, 0, stderr);
  const [event] = parseEvents(stdout);
  const [replicas, actors, links] = (event?.tables ?? []) as readonly {
    readonly rows: unknown[][];
  }[];
  // Parameters: 4096·128 + (128 + 256)·1024 + (256 + 256)·1024 + 256·4096 + 4096 and 7 vectors of 1024 or 256 a layer.
  t.is(replicas?.rows[0]?.[2], 2_501_632);
  t.true((replicas?.rows[2]?.[2] as number) < 2_501_632);
  t.deepEqual(
    replicas?.rows.map((row) => row[3]),
    ['replica-3', 'replica-1', 'replica-2'],
  );
  const nodes = Object.fromEntries((actors?.rows ?? []).map(([actor, node]) => [actor, node]));
  t.is(nodes['replica-2'], 'node 2');
  // With the student that it teaches.
  t.is(nodes['replica-1-snapshot'], 'node 2');
  const bytes = Object.fromEntries((links?.rows ?? []).map((row) => [row[0], row.slice(1, 3)]));
  t.deepEqual(bytes['replica-1-snapshot → replica-2'], ['within a host', 4 * 2_501_632]);
  const [way, delta] = bytes['replica-1 → replica-1-snapshot'] as [string, number];
  t.is(way, 'between hosts');
  // Two lists of 32 × 32 pieces of four bytes.
  t.deepEqual(bytes['replica-2-data → replica-2, each step'], ['between hosts', 8192]);
  t.deepEqual(bytes['replica-1 → evaluator, each evaluation'], ['within a host', 4 * 2_501_632]);
  // A byte for each value, and four for each row.
  t.true(delta > 2_501_632 && delta < 1.02 * 2_501_632, `${delta}`);
});

test('show counts the values of a table that a run would find, and says what it guessed', async (t) => {
  await using folder = await makeFolder();
  const rows = Array.from({ length: 60 }, (_, i) => `${i},town-${i % 3},${i % 2 ? 'yes' : 'no'}`);
  await writeFile(join(folder.path, 'table.csv'), ['age,town,label', ...rows, ''].join('\n'));
  const args = ['tabular-codistill', '--data', 'table.csv', '--json', '--set', 'format=table'];
  const { stdout, stderr } = await actorctl(['plan', 'show', ...args], folder.path);
  const [event] = parseEvents(stdout);
  const [replicas] = (event?.tables ?? []) as readonly { readonly rows: unknown[][] }[];
  // Three towns, and one number for what is none of them.
  t.regex(replicas?.rows[0]?.[1] as string, /numericColumns 1, .* buckets 4, classes 2/, stderr);
  t.regex(String(event?.notes), /age numeric, town categorical, label label \(no, yes\)/);
});

test('check looks for the texts, and warns where no teacher ever comes', async (t) => {
  await using folder = await makeFolder();
  const check = ['plan', 'check', 'lm-codistill'];
  const missing = await actorctl([...check, '--data', 'nothere.txt'], folder.path);
  t.is(missing.exitCode, 2);
  t.regex(missing.stderr, /can't read .*nothere\.txt/);
  const set = ['--set', 'model.width=64', 'perReplica.2.model.heads=2'];
  const idle = await actorctl([...check, ...set], folder.path);
  t.is(idle.exitCode, 2);
  t.regex(idle.stderr, /model\.width: got 64, allowed is nothing: only models of the kind transf/);
  t.regex(idle.stderr, /perReplica\.2\.model\.heads: got 2, allowed is nothing/);
  const untaught = await actorctl([...check, '--steps', '150'], folder.path);
  t.is(untaught.exitCode, 0, untaught.stderr);
  t.regex(untaught.stdout, /can run .*\nwarning: no teacher comes in for replica-1, replica-2/);
});

test('images need not be square', async (t) => {
  await using folder = await makeFolder();
  const pixels = encodePng({ width: 24, height: 16, channels: 1, data: new Uint8Array(24 * 16) });
  for (const name of ['cat', 'dog']) {
    await mkdir(join(folder.path, name));
    await writeFile(join(folder.path, name, '1.png'), pixels);
  }
  const args = ['image-codistill', '--data', '.', '--json', '--set', 'format=folder', 'batch=2'];
  const { stdout, stderr } = await actorctl(['plan', 'show', ...args], folder.path);
  const [event] = parseEvents(stdout);
  const [replicas, , links] = (event?.tables ?? []) as readonly { readonly rows: unknown[][] }[];
  t.regex(String(replicas?.rows[0]?.[1]), /imageSize 16, imageWidth 24/, stderr);
  const data = links?.rows.find(([name]) => name === 'replica-1-data → replica-1, each step');
  t.is(data?.[2], 4 * 2 * (16 * 24 + 1));
});

test('run and plan ask for a job when neither the command line nor a plan names one', async (t) => {
  await using folder = await makeFolder();
  for (const args of [['plan', 'check'], ['run']]) {
    const { exitCode, stderr } = await actorctl(args, folder.path);
    t.is(exitCode, 2);
    t.regex(stderr, /Which job\? .*lm-codistill/);
  }
});
