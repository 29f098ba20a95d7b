import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import {
  actorctl,
  countingJob,
  makeFolder,
  onlyRun,
  parseEvents,
  startActorctl,
} from '../actorctl-process.ts';

const isStep3 = (line: string) => /"replica-1","step":3/.test(line);

test('Ctrl-C lets the job stop with exit code 130, and resume goes on where it was', async (t) => {
  await using folder = await makeFolder();
  const args = ['run', countingJob, '--json', '--set', 'waitAtStep=3'];
  await using first = startActorctl(args, folder.path);
  await first.waitForLine(isStep3);
  first.child.kill('SIGINT');
  const stopped = await first.ended;
  t.is(stopped.exitCode, 130, stopped.stderr);
  const run = await onlyRun(folder.path);
  const last = parseEvents(stopped.stdout).at(-1);
  t.deepEqual(last, { type: 'interrupted', run, resume: `actorctl resume ${run}` });

  const resumed = await actorctl(['resume', run, '--json'], folder.path);
  t.is(resumed.exitCode, 0, resumed.stderr);
  const events = parseEvents(resumed.stdout);
  t.like(events[0], { type: 'run', resumed: true });
  const steps = events.filter(({ type }) => type === 'step').map(({ step }) => step);
  t.deepEqual(steps, [4, 4, 5, 5]);
  // The report is of both sessions.
  const page = await readFile(join(run, 'report.html'), 'utf8');
  t.regex(page, /"x":\[1,2,3,4,5\]/);
});

test('a second Ctrl-C ends a job that does not stop, and its lock does not stand in the way', async (t) => {
  await using folder = await makeFolder();
  const args = ['run', countingJob, '--json', '--set', 'waitAtStep=3', 'deaf=true'];
  await using first = startActorctl(args, folder.path);
  await first.waitForLine(isStep3);
  first.child.kill('SIGINT');
  first.child.stderr?.once('data', () => first.child.kill('SIGINT'));
  t.is((await first.ended).exitCode, 130);
  const run = await onlyRun(folder.path);
  const resumed = await actorctl(['resume', run], folder.path);
  t.is(resumed.exitCode, 0, resumed.stderr);
});

test('a job that does not stop by itself is left after its time, with exit code 130', async (t) => {
  await using folder = await makeFolder();
  const args = ['run', countingJob, '--json', '--set', 'waitAtStep=3', 'deaf=true'];
  await using first = startActorctl(args, folder.path);
  await first.waitForLine(isStep3);
  first.child.kill('SIGTERM');
  const { exitCode, stdout } = await first.ended;
  t.is(exitCode, 130);
  t.is(parseEvents(stdout).at(-1)?.type, 'interrupted');
});

test('a run that is at work is not resumed by a second process', async (t) => {
  await using folder = await makeFolder();
  const args = ['run', countingJob, '--json', '--set', 'waitAtStep=3'];
  await using first = startActorctl(args, folder.path);
  await first.waitForLine(isStep3);
  const second = await actorctl(['resume', await onlyRun(folder.path)], folder.path);
  t.is(second.exitCode, 75);
  t.regex(second.stderr, new RegExp(`Process ${first.child.pid} .*is at work`));
  first.child.kill('SIGINT');
  t.is((await first.ended).exitCode, 130);
});

test('resuming a finished run shows its result again and gives exit code 0', async (t) => {
  await using folder = await makeFolder();
  const first = await actorctl(['run', countingJob, '--json'], folder.path);
  const run = await onlyRun(folder.path);
  const again = await actorctl(['resume', run, '--json'], folder.path);
  t.is(again.exitCode, 0);
  const [finished, result] = parseEvents(again.stdout);
  t.deepEqual(finished, { type: 'finished', run });
  t.deepEqual(result, parseEvents(first.stdout).at(-1));
});

test('a name below runs is enough, and an event log that was cut off does no harm', async (t) => {
  await using folder = await makeFolder();
  await actorctl(['run', countingJob, '--set', 'failAtStep=2'], folder.path);
  const run = await onlyRun(folder.path);
  await appendFile(join(run, 'events.jsonl'), '{"type":"step","rep');
  const resumed = await actorctl(['resume', run.split('/').at(-1) as string], folder.path);
  t.is(resumed.exitCode, 0, resumed.stderr);
  const log = await readFile(join(run, 'events.jsonl'), 'utf8');
  t.regex(log, /\{"type":"step","rep\n\{"type":"run"/);
});

test('resume names what is wrong with the folder', async (t) => {
  await using folder = await makeFolder();
  const missing = await actorctl(['resume', 'runs/nothing'], folder.path);
  t.is(missing.exitCode, 2);
  t.regex(missing.stderr, /There is no run runs\/nothing/);

  await mkdir(join(folder.path, 'runs/empty'), { recursive: true });
  const empty = await actorctl(['resume', 'runs/empty'], folder.path);
  t.is(empty.exitCode, 65);
  t.regex(empty.stderr, /no run\.json/);

  await writeFile(join(folder.path, 'runs/empty/run.json'), '{"format":1,"job":');
  const damaged = await actorctl(['resume', 'runs/empty', '--json'], folder.path);
  t.is(damaged.exitCode, 65);
  t.like(parseEvents(damaged.stdout)[0], { type: 'error', code: 'DAMAGED_DATA' });
});

test('a reader that goes away interrupts the run', async (t) => {
  await using folder = await makeFolder();
  const args = ['run', countingJob, '--json', '--set', 'steps=1000000'];
  await using run = startActorctl(args, folder.path);
  await run.waitForLine((line) => line.includes('"greeting"'));
  run.child.stdout?.destroy();
  t.is((await run.ended).exitCode, 130);
});
