import test from 'ava';
import {
  type JsonEvent,
  makeFolder,
  parseEvents,
  startActorctl,
} from '../../cli/actorctl-process.ts';
import {
  hashesOf,
  newestIncarnation,
  reachStep,
  resultOf,
  startSmallRun,
  stepsOf,
  writeSmallText,
} from '../small-run.ts';

/** Two workers of eight lanes each read what one reads with sixteen. */
const options = { batch: 8, 'workers.count': 2, 'model.restartIntervalSteps': 0 };

async function stepsOfFirst(run: ReturnType<typeof startSmallRun>): Promise<readonly JsonEvent[]> {
  return stepsOf(parseEvents((await run.ended).stdout), 'replica-1');
}

test.serial(
  'synchronous workers and their teachers give what one worker gives with all the lanes',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    const whole = startSmallRun(
      folder.path,
      text,
      { ...options, batch: 16, 'workers.count': 1, steps: 50 },
      ['--run-dir', 'whole'],
    );
    const one = await resultOf(whole);
    const shared = startSmallRun(folder.path, text, { ...options, steps: 50 }, [
      '--run-dir',
      'shared',
    ]);
    const two = await resultOf(shared);
    t.is(two.tokens, one.tokens);
    const expected = await stepsOfFirst(whole);
    const steps = await stepsOfFirst(shared);
    t.is(steps.length, 50);
    t.truthy(steps.at(-1)?.distillLoss, 'teachers have come in');
    for (const [index, { loss, distillLoss, gradientNorm }] of steps.entries()) {
      for (const [name, value] of Object.entries({ loss, distillLoss, gradientNorm })) {
        const difference = (value as number) - (expected[index]?.[name] as number);
        t.true(Math.abs(difference) < 1e-4, `${name} of step ${index + 1} is off by ${difference}`);
      }
    }
  },
);

test.serial(
  'workers stopped by Ctrl-C resume to the bits of a run that never stopped',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    const settings = { ...options, 'workers.codec': 'int8', 'exchange.carries': 'predictions' };
    const calm = await resultOf(startSmallRun(folder.path, text, settings, ['--run-dir', 'calm']));
    const run = startSmallRun(folder.path, text, settings, ['--run-dir', 'stopped']);
    await reachStep(run, 'replica-1', 33);
    run.child.kill('SIGINT');
    const { exitCode, stderr } = await run.ended;
    t.is(exitCode, 130, stderr);
    const resumed = startActorctl(['resume', 'stopped', '--json'], folder.path);
    t.deepEqual(hashesOf(await resultOf(resumed)), hashesOf(calm));
  },
);

const victims = [
  ['replica-1-worker-2', 20],
  ['replica-1-server', 40],
  ['replica-1', 60],
] as const;

/** Kills a worker, the server and the leading worker of the first replica, each in the middle of training. */
async function killInTurn(run: ReturnType<typeof startSmallRun>): Promise<void> {
  for (const [victim, step] of victims) {
    await reachStep(run, 'replica-1', step);
    const events = run.lines().map((line) => JSON.parse(line) as JsonEvent);
    process.kill(newestIncarnation(events, victim).pid, 'SIGKILL');
  }
}

function deathsIn(run: ReturnType<typeof startSmallRun>): number {
  const events = run.lines().map((line) => JSON.parse(line) as JsonEvent);
  return events.filter(({ type, event }) => type === 'actor' && event === 'died').length;
}

for (const mode of ['asynchronous', 'local']) {
  test.serial(`${mode} workers outlive kill -9 of each of them and of their server`, async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    const run = startSmallRun(folder.path, text, {
      ...options,
      replicas: 1,
      'workers.mode': mode,
      'workers.localSteps': 5,
    });
    await killInTurn(run);
    const result = await resultOf(run);
    const last = (await stepsOfFirst(run)).at(-1);
    t.is(last?.step, 100);
    t.true((last?.loss as number) < result.unigramLoss, `loss ${last?.loss}`);
    t.true(deathsIn(run) >= victims.length);
  });
}

for (const carries of ['weights', 'predictions']) {
  test.serial(
    `synchronous workers whose teachers give ${carries} end in the same bits, whether they and their server die or not`,
    async (t) => {
      await using folder = await makeFolder();
      const text = await writeSmallText(folder.path);
      const settings = { ...options, 'exchange.carries': carries };
      const calm = await resultOf(startSmallRun(folder.path, text, settings));
      const run = startSmallRun(folder.path, text, settings);
      await killInTurn(run);
      const result = await resultOf(run);
      t.true(deathsIn(run) >= victims.length);
      t.deepEqual(hashesOf(result), hashesOf(calm));
      t.is(result.exchange.predictionsBytes > 0, carries === 'predictions');
    },
  );
}

test.serial(
  'a run with several workers whose processes are all killed resumes to the same bits',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    // Checkpoints and exchanges at different steps.
    const settings = { ...options, checkpointIntervalSteps: 7 };
    const calm = await resultOf(startSmallRun(folder.path, text, settings));
    const run = startSmallRun(folder.path, text, settings, ['--run-dir', 'killed']);
    await reachStep(run, 'replica-1', 59);
    run.child.kill('SIGKILL');
    await run.ended;
    const resumed = startActorctl(['resume', 'killed', '--json'], folder.path);
    t.deepEqual(hashesOf(await resultOf(resumed)), hashesOf(calm));
  },
);
