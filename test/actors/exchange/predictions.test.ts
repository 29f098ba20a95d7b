import test from 'ava';
import { makeFolder, startActorctl } from '../../cli/actorctl-process.ts';
import { hashesOf, reachStep, resultOf, startSmallRun, writeSmallText } from '../small-run.ts';

const options = { steps: 60, burnInSteps: 20 };
const predictions = { ...options, 'exchange.carries': 'predictions' };

test('teachers that answer with predictions teach what they teach with their weights, also over an interruption', async (t) => {
  await using folder = await makeFolder();
  const text = await writeSmallText(folder.path);
  const calm = await resultOf(startSmallRun(folder.path, text, options, ['--run-dir', 'weights']));

  const run = startSmallRun(folder.path, text, predictions, ['--run-dir', 'predictions']);
  await reachStep(run, 'replica-2', 42);
  run.child.kill('SIGINT');
  const { exitCode, stderr } = await run.ended;
  t.is(exitCode, 130, stderr);
  const resumed = startActorctl(['resume', 'predictions', '--json'], folder.path);
  const result = await resultOf(resumed);
  for (const [index, { valLoss }] of result.replicas.entries()) {
    const expected = calm.replicas[index]?.valLoss as number;
    t.true(Math.abs(valLoss - expected) < 1e-3, `${valLoss} and ${expected}`);
  }
  // On one machine the same products are computed in the same order.
  t.deepEqual(hashesOf(result), hashesOf(calm));
});
