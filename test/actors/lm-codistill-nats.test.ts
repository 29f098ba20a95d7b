import test from 'ava';
import { type JsonEvent, makeFolder, parseEvents, startActorctl } from '../cli/actorctl-process.ts';
import { startNatsServer } from '../support/nats-server.ts';
import {
  type ActorStarted,
  hashesOf,
  reachStep,
  resultOf,
  startSmallRun,
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
