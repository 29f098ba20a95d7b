import { readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { makeFolder, parseEvents, startActorctl } from '../cli/actorctl-process.ts';
import { hashesOf, reachStep, resultOf } from './small-run.ts';

const plan = {
  steps: 40,
  burnInSteps: 10,
  'exchange.intervalSteps': 5,
  checkpointIntervalSteps: 5,
  'evaluation.intervalSteps': 20,
  'evaluation.batches': 4,
};

/** Small enough to take seconds; the second replica is another model with another optimizer. */
const experiments = {
  'tabular-codistill': {
    ...plan,
    rows: 2000,
    batch: 64,
    buckets: 50,
    'model.hiddenSizes': '16,8',
    'perReplica.2.model.hiddenSizes': '12',
    'perReplica.2.optimizer.kind': 'adagrad',
  },
  'image-codistill': {
    ...plan,
    images: 400,
    imageSize: 8,
    batch: 16,
    'model.width': 4,
    'model.stages': '1,1',
    'perReplica.2.model.stages': '1',
    'perReplica.2.optimizer.kind': 'momentum',
  },
};

/** As a power failure may leave them: of each actor the newest state ends early. */
async function cutNewestCheckpoints(directory: string): Promise<void> {
  const newest = new Map<string, { readonly number: number; readonly name: string }>();
  for (const name of await readdir(directory)) {
    const [, actor, number] = /^(.*)\.(\d+)\.checkpoint$/.exec(name) ?? [];
    if (actor === undefined) continue;
    if (Number(number) > (newest.get(actor)?.number ?? 0)) {
      newest.set(actor, { number: Number(number), name });
    }
  }
  for (const { name } of newest.values()) await truncate(join(directory, name), 100);
}

for (const [job, options] of Object.entries(experiments)) {
  const start = (folder: string, run: string) => {
    const sets = Object.entries(options).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    return startActorctl(['run', job, '--json', '--run-dir', run, ...sets], folder);
  };

  test.serial(
    `${job}: two different models teach each other, and a run that is stopped or loses its power resumes to the same bits`,
    async (t) => {
      await using folder = await makeFolder();
      const calm = start(folder.path, 'calm');
      const result = await resultOf(calm);
      t.is(result.examples, 2 * 40 * options.batch);
      t.is(new Set(hashesOf(result)).size, 2);
      const steps = parseEvents((await calm.ended).stdout).filter(({ type }) => type === 'step');
      const taught = steps.filter(({ distillLoss }) => distillLoss !== null);
      // From step 11 on both have a teacher.
      t.is(taught.length, 2 * 30);
      t.true(steps.every(({ accuracy }) => (accuracy as number) >= 0 && (accuracy as number) <= 1));
      for (const { accuracy } of result.replicas as unknown as readonly { accuracy: number }[]) {
        t.true(accuracy > 0 && accuracy <= 1);
      }

      const run = start(folder.path, 'stopped');
      await reachStep(run, 'replica-2', 17);
      run.child.kill('SIGINT');
      const { exitCode, stderr } = await run.ended;
      t.is(exitCode, 130, stderr);
      const resumed = startActorctl(['resume', 'stopped', '--json'], folder.path);
      t.deepEqual(hashesOf(await resultOf(resumed)), hashesOf(result));

      const killed = start(folder.path, 'killed');
      await reachStep(killed, 'replica-1', 27);
      killed.child.kill('SIGKILL');
      await killed.ended;
      await cutNewestCheckpoints(join(folder.path, 'killed', 'checkpoints'));
      const again = startActorctl(['resume', 'killed', '--json'], folder.path);
      t.deepEqual(hashesOf(await resultOf(again)), hashesOf(result));
    },
  );
}
