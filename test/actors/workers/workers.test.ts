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
      { ...twoWorkers, batch: 16, 'workers.count': 1, steps: 50 },
      ['--run-dir', 'whole'],
    );
    const one = await resultOf(whole);
    const shared = startSmallRun(folder.path, text, { ...twoWorkers, steps: 50 }, [
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
    const settings = { ...twoWorkers, 'workers.codec': 'int8', 'exchange.carries': 'predictions' };
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

for (const mode of ['asynchronous', 'local']) {
  test.serial(
    `${mode} workers that are stopped by Ctrl-C go on without a step lost or taken twice`,
    async (t) => {
      await using folder = await makeFolder();
      const text = await writeSmallText(folder.path);
      const settings = {
        ...twoWorkers,
        'workers.mode': mode,
        ...(mode === 'local' && { 'workers.localSteps': 5 }),
      };
      const run = startSmallRun(folder.path, text, settings, ['--run-dir', 'stopped']);
      await reachStep(run, 'replica-1', 33);
      run.child.kill('SIGINT');
      const { exitCode, stdout, stderr } = await run.ended;
      t.is(exitCode, 130, stderr);
      const resumed = startActorctl(['resume', 'stopped', '--json'], folder.path);
      const result = await resultOf(resumed);
      const events = [...parseEvents(stdout), ...parseEvents((await resumed.ended).stdout)];
      for (const { name } of result.replicas) {
        // Worker 1 tells of each of its steps once.
        t.deepEqual(
          stepsOf(events, name).map(({ step }) => step),
          Array.from({ length: 100 }, (_, index) => index + 1),
        );
      }
      // Two replicas of two workers, each with 100 batches of 8 lanes of 16 pieces.
      t.is(result.tokens, 2 * 2 * 100 * 8 * 16);
      // Which update comes before which is chance where workers don't wait for one another.
      if (mode === 'local') {
        const calm = await resultOf(startSmallRun(folder.path, text, settings));
        t.deepEqual(hashesOf(result), hashesOf(calm));
      } else {
        for (const { name, valLoss } of result.replicas) t.true(valLoss < result.unigramLoss, name);
      }
    },
  );
}

test.serial(
  'with backups the record is whole, though the first worker of a replica is the slow one',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    const settings = { ...twoWorkers, 'workers.count': 1, 'workers.backups': 1, steps: 60 };
    const run = startSmallRun(folder.path, text, settings);
    await run.waitForLine((line) => (JSON.parse(line) as JsonEvent).actor === 'replica-1');
    const started = run.lines().map((line) => JSON.parse(line) as JsonEvent);
    const { pid } = newestIncarnation(started, 'replica-1');
    // Until burn-in is nearly over: then the other replica waits for what it publishes.
    process.kill(pid, 'SIGSTOP');
    await reachStep(run, 'replica-1', 30);
    process.kill(pid, 'SIGCONT');
    await resultOf(run);
    const events = parseEvents((await run.ended).stdout);
    t.deepEqual(
      stepsOf(events, 'replica-1').map(({ step }) => step),
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
    t.deepEqual(
      events.filter(({ type }) => type === 'evaluation').map(({ step }) => step),
      [20, 40, 60],
    );
  },
);

test.serial(
  'replicas that teach one another come to their end, though each goes on without its slowest worker',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    const settings = { ...twoWorkers, 'workers.count': 1, 'workers.backups': 1 };
    const run = startSmallRun(folder.path, text, settings);
    // Stopped until teachers have come in, so that the slowest is worker 2 and worker 1 tells of each step.
    const stopped: number[] = [];
    for (const worker of ['replica-1-worker-2', 'replica-2-worker-2']) {
      await run.waitForLine((line) => (JSON.parse(line) as JsonEvent).actor === worker);
      const events = run.lines().map((line) => JSON.parse(line) as JsonEvent);
      stopped.push(newestIncarnation(events, worker).pid);
    }
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    await reachStep(run, 'replica-1', 60);
    await reachStep(run, 'replica-2', 60);
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
    const result = await resultOf(run);
    for (const { name, valLoss } of result.replicas) {
      t.true(valLoss < result.unigramLoss, name);
      const steps = stepsOf(parseEvents((await run.ended).stdout), name);
      t.true(steps.some(({ distillLoss }) => distillLoss !== null));
    }
  },
);
