import test from 'ava';
import { type JsonEvent, makeFolder, parseEvents, startActorctl } from '../cli/actorctl-process.ts';
import {
  hashesOf,
  newestIncarnation,
  reachStep,
  resultOf,
  startSmallRun,
  stepsOf,
  writeSmallText,
} from './small-run.ts';

async function evaluationsOf(run: ReturnType<typeof startSmallRun>) {
  const events = parseEvents((await run.ended).stdout);
  return events
    .filter(({ type }) => type === 'evaluation')
    .map(({ versions, losses, disagreement }) => ({ versions, losses, disagreement }));
}

test.serial('two replicas learn from each other and one seed repeats bit for bit', async (t) => {
  await using folder = await makeFolder();
  const text = await writeSmallText(folder.path);
  const first = startSmallRun(folder.path, text, {}, ['--run-dir', 'first']);
  const result = await resultOf(first);
  t.true(result.replicas.every(({ valLoss }) => valLoss < result.unigramLoss - 0.3));
  t.true(result.ensembleLoss < Math.max(...result.replicas.map(({ valLoss }) => valLoss)));
  t.is(result.tokens, 2 * 100 * 16 * 16);
  t.is(result.exchange.bytes, result.exchange.fullBytes);

  const steps = stepsOf(parseEvents((await first.ended).stdout), 'replica-1');
  t.deepEqual(
    steps.map(({ step }) => step),
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
  // From step k·T on a student has its teacher's version of step (k − 1)·T: 5 to 9 steps old.
  for (const { step, stalenessSteps } of steps) {
    t.is(stalenessSteps, (step as number) <= 40 ? null : 5 + (((step as number) - 1) % 5));
  }

  const second = startSmallRun(folder.path, text, {}, ['--run-dir', 'again']);
  const [again, other] = [
    await resultOf(second),
    await resultOf(startSmallRun(folder.path, text, { seed: 2 }, ['--run-dir', 'other'])),
  ];
  t.deepEqual(hashesOf(again), hashesOf(result));
  t.not(hashesOf(other)[0], hashesOf(result)[0]);
  // Held-out scores as well: each is of the weights of exactly its step.
  const [scores, sameScores] = [await evaluationsOf(first), await evaluationsOf(second)];
  t.deepEqual(
    scores.map(({ versions }) => versions),
    [20, 40, 60, 80, 100].map((step) => [step, step]),
  );
  t.deepEqual(sameScores, scores);
  t.is(new Set(hashesOf(result)).size, 2);
});

test.serial(
  'kill -9 of every kind of actor changes neither the weights nor the steps',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    const calm = await resultOf(startSmallRun(folder.path, text));
    const run = startSmallRun(folder.path, text, {}, ['--run-dir', 'killed']);
    const events: JsonEvent[] = [];
    await collect(run, events);
    const victims = [
      ['replica-1', 43],
      ['replica-2-snapshot', 52],
      ['replica-2-data', 60],
      ['replica-2', 68],
      ['evaluator', 76],
      ['replica-1', 84],
    ] as const;
    for (const [victim, step] of victims) {
      await reachStep(run, 'replica-1', step);
      process.kill(newestIncarnation(events, victim).pid, 'SIGKILL');
    }
    t.deepEqual(hashesOf(await resultOf(run)), hashesOf(calm));
    const died = events.filter(({ type, event }) => type === 'actor' && event === 'died');
    t.true(died.length >= victims.length);
    for (const { cause } of died.slice(0, victims.length)) {
      t.like(cause, { kind: 'signal', signal: 'SIGKILL' });
    }
    for (const replica of ['replica-1', 'replica-2']) {
      const steps = stepsOf(events, replica).map(({ step }) => step);
      t.deepEqual(
        steps,
        Array.from({ length: 100 }, (_, index) => index + 1),
        replica,
      );
    }
  },
);

test.serial(
  'a run stopped by Ctrl-C resumes to the weights of one that never stopped',
  async (t) => {
    await using folder = await makeFolder();
    const text = await writeSmallText(folder.path);
    const options = { 'exchange.codec': 'int8' };
    const calm = await resultOf(startSmallRun(folder.path, text, options));
    t.true(calm.exchange.bytes < 0.4 * calm.exchange.fullBytes);

    const run = startSmallRun(folder.path, text, options, ['--run-dir', 'stopped']);
    await reachStep(run, 'replica-2', 58);
    run.child.kill('SIGINT');
    const { exitCode, stderr } = await run.ended;
    t.is(exitCode, 130, stderr);
    const resumed = startActorctl(['resume', 'stopped', '--json'], folder.path);
    t.deepEqual(hashesOf(await resultOf(resumed)), hashesOf(calm));
    const steps = stepsOf(parseEvents((await resumed.ended).stdout), 'replica-2');
    t.true((steps[0]?.step as number) > 40, 'it began again');
  },
);

/** Fills `events` while the run goes on. */
async function collect(run: ReturnType<typeof startSmallRun>, events: JsonEvent[]): Promise<void> {
  run.child.stdout?.setEncoding('utf8');
  let rest = '';
  run.child.stdout?.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) events.push(JSON.parse(line) as JsonEvent);
  });
}
