import test from 'ava';
import { type JsonEvent, makeFolder, parseEvents, startActorctl } from '../cli/actorctl-process.ts';
import { startNatsServer } from '../support/nats-server.ts';
import {
  type ActorStarted,
  hashesOf,
  newestIncarnation,
  reachStep,
  resultOf,
  startSmallRun,
  stepsOf,
  writeSmallText,
} from './small-run.ts';

test.serial('replicas on two nodes over NATS give the bits of a local run', async (t) => {
  await using folder = await makeFolder();
  const text = await writeSmallText(folder.path);
  const local = await resultOf(startSmallRun(folder.path, text, {}, ['--run-dir', 'local']));

  await using server = await startNatsServer();
  const nodeArgs = ['node', '--nats', server.url, '--name', 'attic', '--json'];
  await using node = startActorctl(nodeArgs, folder.path);
  await node.waitForLine((line) => line.includes('"joined"'));
  const flags = ['--nats', server.url, '--wait-nodes', '2', '--run-dir', 'spread'];
  await using run = startSmallRun(folder.path, text, { 'exchange.mode': 'scheduled' }, flags);
  t.deepEqual(hashesOf(await resultOf(run)), hashesOf(local));
  const events = parseEvents((await run.ended).stdout);
  t.not(nodeOf(events, 'replica-1'), nodeOf(events, 'replica-2'));
  // A snapshot is where its student trains.
  t.is(nodeOf(events, 'replica-1-snapshot'), nodeOf(events, 'replica-2'));
});

test.serial(
  'workers on two hosts, with a branch on the other one, give what one worker gives, also when the branch and its workers die',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    const options = { replicas: 1, steps: 60, 'model.restartIntervalSteps': 0 };
    const whole = startSmallRun(folder.path, text, options);
    await resultOf(whole);
    const expected = stepsOf(parseEvents((await whole.ended).stdout), 'replica-1');

    await using server = await startNatsServer();
    await using node = startActorctl(['node', '--nats', server.url, '--json'], folder.path);
    await node.waitForLine((line) => line.includes('"joined"'));
    const start = (name: string) =>
      startSmallRun(folder.path, text, { ...options, batch: 4, 'workers.count': 4 }, [
        ...['--nats', server.url, '--wait-nodes', '2', '--run-dir', name],
      ]);
    await using calm = start('calm');
    const result = await resultOf(calm);
    const events = parseEvents((await calm.ended).stdout);
    t.is(nodeOf(events, 'replica-1-branch-2'), nodeOf(events, 'replica-1-worker-2'));
    t.not(nodeOf(events, 'replica-1-branch-2'), nodeOf(events, 'replica-1-server'));
    const steps = stepsOf(events, 'replica-1');
    t.is(steps.length, 60);
    for (const [index, { loss, gradientNorm }] of steps.entries()) {
      for (const [name, value] of Object.entries({ loss, gradientNorm })) {
        const difference = (value as number) - (expected[index]?.[name] as number);
        t.true(Math.abs(difference) < 1e-4, `${name} of step ${index + 1} is off by ${difference}`);
      }
    }

    await using run = start('killed');
    for (const [victim, step] of [
      ['replica-1-branch-2', 15],
      ['replica-1-worker-4', 25],
      ['replica-1-server', 35],
    ] as const) {
      await reachStep(run, 'replica-1', step);
      const seen = run.lines().map((line) => JSON.parse(line) as JsonEvent);
      process.kill(newestIncarnation(seen, victim).pid, 'SIGKILL');
    }
    t.deepEqual(hashesOf(await resultOf(run)), hashesOf(result));
  },
);

test.serial(
  'a run over NATS takes the freshest teachers and outlives a server restart',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    await using server = await startNatsServer();
    const flags = ['--nats', server.url];
    await using run = startSmallRun(folder.path, text, { steps: 200, restartsMax: 0 }, flags);
    await reachStep(run, 'replica-1', 50);
    await server.kill();
    await server.start();
    const result = await resultOf(run);
    for (const { stalenessStepsMean, valLoss } of result.replicas) {
      t.true(stalenessStepsMean > 0);
      t.true(valLoss < result.unigramLoss - 0.5);
    }
    const events = parseEvents((await run.ended).stdout);
    for (const replica of ['replica-1', 'replica-2']) {
      const steps = events.filter((event) => event.type === 'step' && event.replica === replica);
      t.deepEqual(
        steps.map(({ step }) => step),
        Array.from({ length: 200 }, (_, index) => index + 1),
      );
    }
  },
);

test.serial('a server that stays away ends the run, which resumes when it is back', async (t) => {
  await using folder = await makeFolder();
  const text = await writeSmallText(folder.path);
  await using server = await startNatsServer();
  // Only the loss of the server itself makes these actors save their state.
  const options = { steps: 400, checkpointIntervalSteps: 1000 };
  const flags = ['--nats', server.url, '--bus-timeout', '3', '--run-dir', 'lost'];
  await using run = startSmallRun(folder.path, text, options, flags);
  await reachStep(run, 'replica-1', 60);
  await server.kill();
  const { exitCode, stdout, stderr } = await run.ended;
  t.is(exitCode, 69, stderr);
  t.like(parseEvents(stdout).at(-1), { type: 'error', code: 'BUS_UNAVAILABLE' });

  await server.start();
  await using resumed = startActorctl(['resume', 'lost', '--json'], folder.path);
  const result = await resultOf(resumed);
  t.is(result.steps, 400);
  // The other replica may have been behind the one that was waited for.
  const steps = parseEvents((await resumed.ended).stdout).filter(
    ({ type, replica }) => type === 'step' && replica === 'replica-1',
  );
  t.true((steps[0]?.step as number) > 60, 'it began again');
});

function nodeOf(events: readonly JsonEvent[], actor: string): string {
  const started = events.find(
    (event): event is ActorStarted =>
      event.type === 'actor' && event.event === 'started' && event.actor === actor,
  );
  if (started === undefined) throw new Error(`${actor} has not started`);
  return started.node;
}
