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
  twoWorkers,
  writeSmallText,
} from '../small-run.ts';

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
      ...twoWorkers,
      replicas: 1,
      'workers.mode': mode,
      ...(mode === 'local' && { 'workers.localSteps': 5 }),
    });
    await killInTurn(run);
    const result = await resultOf(run);
    const last = stepsOf(parseEvents((await run.ended).stdout), 'replica-1').at(-1);
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
      const settings = { ...twoWorkers, steps: 70, 'exchange.carries': carries };
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
    const settings = { ...twoWorkers, steps: 70, checkpointIntervalSteps: 7 };
    const calm = await resultOf(startSmallRun(folder.path, text, settings));
    const run = startSmallRun(folder.path, text, settings, ['--run-dir', 'killed']);
    await reachStep(run, 'replica-1', 59);
    run.child.kill('SIGKILL');
    await run.ended;
    const resumed = startActorctl(['resume', 'killed', '--json'], folder.path);
    t.deepEqual(hashesOf(await resultOf(resumed)), hashesOf(calm));
  },
);
