import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { writePredictions } from '../../../datasets/index.ts';
import { smallOptions, writeSmallText } from '../../actors/small-run.ts';
import { actorctl, makeFolder, parseEvents } from '../actorctl-process.ts';

interface ChurnEvent {
  readonly rows: number;
  readonly difference: {
    readonly mean: number;
    readonly interval: readonly [number, number] | null;
  };
  readonly flips: { readonly mean: number };
  readonly pairs: readonly { readonly difference: number }[];
  readonly losses: readonly [{ readonly logLoss: number }];
}

test('churn of two files is the mean difference and the share of flips, with the log loss of each', async (t) => {
  await using folder = await makeFolder();
  await writeFile(join(folder.path, 'a.csv'), 'target,model\n1,0.9\n0,0.4\n');
  await writeFile(join(folder.path, 'b.csv'), 'target,model\n1,0.8\n0,0.6\n');
  const { exitCode, stdout, stderr } = await actorctl(
    ['churn', 'a.csv', 'b.csv', '--json'],
    folder.path,
  );
  t.is(exitCode, 0, stderr);
  const [result] = parseEvents(stdout) as unknown as [ChurnEvent];
  t.is(result.rows, 2);
  // |0.9 − 0.8| and |0.4 − 0.6|; the second row goes over ½.
  t.is(result.difference.mean.toFixed(6), '0.150000');
  t.is(result.flips.mean, 0.5);
  t.is(result.losses[0].logLoss.toFixed(4), (-(Math.log(0.9) + Math.log(0.6)) / 2).toFixed(4));
  t.is(result.difference.interval, null);

  const other = await actorctl(
    ['churn', 'a.csv', 'b.csv', '--threshold', '0.85', '--json'],
    folder.path,
  );
  t.is((parseEvents(other.stdout)[0] as unknown as ChurnEvent).flips.mean, 0.5);
});

test('several retrainings give all pairs and an interval; a set serves its first model or the average', async (t) => {
  await using folder = await makeFolder();
  const targets = Int32Array.of(0);
  for (const [index, p] of [0.5, 0.6, 0.8].entries()) {
    await writePredictions(join(folder.path, `${index}.arrow`), {
      targets,
      classes: 2,
      models: new Map([
        ['replica-1', Float32Array.of(p, 1 - p)],
        ['replica-2', Float32Array.of(0.6, 0.4)],
      ]),
    });
  }
  const files = ['0.arrow', '1.arrow', '2.arrow'];
  const first = await actorctl(['churn', ...files, '--json'], folder.path);
  const [result] = parseEvents(first.stdout) as unknown as [ChurnEvent];
  t.deepEqual(
    result.pairs.map(({ difference }: { readonly difference: number }) => difference.toFixed(3)),
    ['0.100', '0.300', '0.200'],
  );
  t.is(result.difference.mean.toFixed(6), '0.200000');
  // Leaving out one gives 0.2, 0.3 and 0.1: an error of √(2/3 · 0.02), times t(0.975, 2) = 4.303.
  t.is(result.difference.interval?.[1].toFixed(3), '0.697');
  const average = await actorctl(['churn', ...files, '--served', 'average', '--json'], folder.path);
  t.is(
    (parseEvents(average.stdout)[0] as unknown as ChurnEvent).difference.mean.toFixed(6),
    '0.100000',
  );
});

test('what can not be compared is refused with the reason', async (t) => {
  await using folder = await makeFolder();
  const files = {
    'a.csv': 'target,model\n1,0.9\n0,0.4\n',
    'short.csv': 'target,model\n1,0.8\n',
    'other.csv': 'target,model\n0,0.9\n0,0.4\n',
    'odd.csv': 'target,model\n1,1.9\n0,0.4\n',
    'text.csv': 'target,model\n1,high\n0,0.4\n',
    'ragged.csv': 'target,model\n1\n0,0.4\n',
    'none.csv': 'target\n1\n',
    'bad.arrow': 'this is not Arrow',
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder.path, name), content);
  }
  const refused = async (names: readonly string[], message: RegExp): Promise<void> => {
    const { exitCode, stderr } = await actorctl(['churn', ...names], folder.path);
    t.is(exitCode, 2, stderr);
    t.regex(stderr, message);
  };
  await refused(['a.csv'], /Give two sets/);
  await refused(['a.csv', 'short.csv'], /a\.csv has 2 rows of 2 classes, short\.csv has 1 rows/);
  await refused(['a.csv', 'other.csv'], /Row 1 has another target in other\.csv/);
  await refused(
    ['a.csv', 'odd.csv'],
    /odd\.csv, row 1: model is .*1\.89.*, expected probabilities/,
  );
  await refused(['a.csv', 'text.csv'], /text\.csv, row 1: model is "high", expected a number/);
  await refused(['a.csv', 'ragged.csv'], /ragged\.csv, row 1: it has 1 fields, not 2/);
  await refused(['a.csv', 'none.csv'], /none\.csv has no predictions/);
  await refused(['a.csv', 'bad.arrow'], /bad\.arrow (is no Arrow file|has no predictions)/);
  await refused(['a.csv', 'nowhere'], /There is no run nowhere/);
});

test('runs without predictions are compared by their checkpoints, on the rows that neither trained on', async (t) => {
  await using folder = await makeFolder();
  const text = await writeSmallText(folder.path);
  const train = async (name: string, set: readonly string[]): Promise<void> => {
    const options = Object.entries({ ...smallOptions, steps: 20, replicas: 1 });
    const args = ['run', 'lm-codistill', '--data', text, '--run-dir', name, '--json', '--set'];
    const assigned = options.map(([key, value]) => `${key}=${value}`);
    const { exitCode, stdout } = await actorctl([...args, ...assigned, ...set], folder.path);
    t.is(exitCode, 0, stdout);
  };
  await train('one', ['seed=1']);
  await train('same', ['seed=1']);
  await train('two', ['seed=2']);
  const { exitCode, stdout, stderr } = await actorctl(
    ['churn', 'one', 'same', 'two', '--json'],
    folder.path,
  );
  t.is(exitCode, 0, stderr + stdout);
  const [result] = parseEvents(stdout) as unknown as [ChurnEvent];
  const [same, other] = result.pairs;
  t.is(same?.difference, 0);
  t.true((other?.difference ?? 0) > 0.001);
  const finished = parseEvents(await readFile(join(folder.path, 'one', 'events.jsonl'), 'utf8')).at(
    -1,
  );
  const { replicas } = finished as unknown as {
    readonly replicas: readonly { readonly valLoss: number }[];
  };
  t.is(result.losses[0].logLoss.toFixed(4), (replicas[0]?.valLoss ?? 0).toFixed(4));

  await train('apart', ['seed=1', 'partition.heldOutFraction=0.2']);
  const refused = await actorctl(['churn', 'one', 'apart'], folder.path);
  t.is(refused.exitCode, 2, refused.stderr);
  t.regex(refused.stderr, /one and apart hold other rows out/);
});
