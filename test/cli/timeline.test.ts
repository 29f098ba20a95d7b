import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Timeline } from '../../cli/timeline.ts';
import { actorctl, fixture, makeFolder, parseEvents } from './actorctl-process.ts';

interface Entry {
  readonly name: string;
  readonly ph: string;
  readonly cat?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, unknown>>;
}

async function readEntries(path: string): Promise<readonly Entry[]> {
  return JSON.parse(await readFile(path, 'utf8')).traceEvents;
}

test('calls, lives, steps and figures are entries of the Trace Event Format', async (t) => {
  await using folder = await makeFolder();
  const path = join(folder.path, 'timeline.json');
  const timeline = new Timeline();
  const actor = { actor: 'a', actorType: 'test/a', epoch: 1, node: 'n1', omitted: 2 };
  const call = (method: string, startMs: number, durationMs: number) => {
    return { method, startMs, durationMs, failed: false };
  };
  timeline.addCalls({ ...actor, calls: [call('inner', 12, 3), call('outer', 10, 10)] });
  timeline.addCalls({ ...actor, calls: [call('later', 20, 1)] });
  const life = { type: 'actor', actor: 'a', node: 'n1', pid: 5, epoch: 1 };
  const cause = { kind: 'signal', message: 'killed' };
  timeline.addEvent({ ...life, event: 'died', cause }, 21);
  timeline.addEvent({ type: 'step', replica: 'r', step: 1, loss: 5 }, 30);
  timeline.addEvent({ type: 'step', replica: 'r', step: 2, loss: 4, tokensPerSecond: 99 }, 40.5);
  timeline.addEvent({ type: 'greeting' }, 41);
  t.is(timeline.write(path), 4);

  const entries = await readEntries(path);
  const names = new Map(
    entries.filter(({ ph }) => ph === 'M').map(({ tid, args }) => [tid, args.name]),
  );
  const shown = entries
    .filter(({ ph }) => ph !== 'M')
    .map(({ ph, name, ts, dur, tid }) => `${ph} ${names.get(tid)}: ${name} ${ts} ${dur ?? ''}`);
  t.deepEqual(shown, [
    'X a: outer 10000 10000',
    'X a (2): inner 12000 3000',
    'X a: later 20000 1000',
    'i a: died 21000 ',
    'C r: r loss 30000 ',
    'X r: step 2 30000 10500',
    'C r: r loss 40500 ',
    'C r: r tokensPerSecond 40500 ',
  ]);
  const tracks = entries.filter(({ name }) => name === 'thread_name');
  t.is(new Set(tracks.map(({ tid }) => tid)).size, 3, 'overlapping calls have tracks of their own');
  t.is(entries.find(({ ph }) => ph === 'i')?.args.cause, 'killed');
});

test('a run writes the timeline of its actors', async (t) => {
  await using folder = await makeFolder();
  const job = fixture('whereabouts-job.ts');
  const args = ['run', job, '--timeline', 'timeline.json', '--json'];
  const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
  t.is(exitCode, 0, stderr);
  const path = join(folder.path, 'timeline.json');
  t.like(
    parseEvents(stdout).find(({ type }) => type === 'timeline'),
    { path, omitted: 0 },
  );
  const entries = await readEntries(path);
  const lives = entries.filter(({ cat }) => cat === 'actor').map(({ name }) => name);
  t.deepEqual(lives, ['started', 'died']);
  const calls = entries.filter(({ cat }) => cat === 'call');
  t.deepEqual(
    calls.map(({ name, ph }) => [name, ph]),
    [['pid', 'X']],
  );
  t.is(calls[0]!.tid, entries.find(({ cat }) => cat === 'actor')!.tid);
});
