import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Timeline } from '../../../cli/run/timeline.ts';
import { readTraceEvents, type TraceEvent } from '../../support/trace-events.ts';
import { actorctl, fixture, makeFolder, parseEvents } from '../actorctl-process.ts';

async function readEntries(path: string): Promise<readonly TraceEvent[]> {
  return readTraceEvents(await readFile(path, 'utf8'));
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
  const stream = { ...call('items', 5, 14), items: 3 };
  timeline.addCalls({ ...actor, calls: [call('later', 20, 1), stream] });
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
    .filter((entry) => entry.ph !== 'M')
    .map((entry) => {
      const { ph, name, ts, tid } = entry;
      return `${ph} ${names.get(tid)}: ${name} ${ts} ${ph === 'X' ? entry.dur : ''}`;
    });
  t.deepEqual(shown, [
    'X a: outer 10000 10000',
    'X a (2): inner 12000 3000',
    'X a (3): items 5000 14000',
    'X a: later 20000 1000',
    'i a: died 21000 ',
    'C r: r loss 30000 ',
    'X r: step 2 30000 10500',
    'C r: r loss 40500 ',
    'C r: r tokensPerSecond 40500 ',
  ]);
  const tracks = entries.filter(({ name }) => name === 'thread_name');
  t.is(new Set(tracks.map(({ tid }) => tid)).size, 4, 'overlapping calls have tracks of their own');
  t.like(entries.find(({ ph }) => ph === 'i')?.args, { cause: 'killed' });
});

test('slices of one track touch and never overlap, however their times are rounded', async (t) => {
  await using folder = await makeFolder();
  const path = join(folder.path, 'timeline.json');
  const timeline = new Timeline();
  const calls = [];
  let at = 0.0005;
  for (let call = 0; call < 2_000; call += 1) {
    const durationMs = 0.0005 + (call % 7) * 0.0013;
    calls.push({ method: `call${call}`, startMs: at, durationMs, failed: false });
    at += durationMs;
  }
  const actor = { actor: 'a', actorType: 'test/a', epoch: 1, node: 'n1', omitted: 0 };
  timeline.addCalls({ ...actor, calls });
  timeline.write(path);
  t.true((await readEntries(path)).length >= 2_000);
});

test('a reader refuses what no timeline may hold', (t) => {
  const track = { pid: 1, tid: 1 };
  const names = [
    { ph: 'M', name: 'process_name', pid: 1, tid: 0, args: { name: 'n' } },
    { ph: 'M', name: 'thread_name', ...track, args: { name: 't' } },
  ];
  const slice = { ph: 'X', name: 's', cat: 'call', ts: 0, dur: 10, args: {}, ...track };
  const read = (...events: readonly object[]) =>
    readTraceEvents(
      JSON.stringify({ displayTimeUnit: 'ms', otherData: {}, traceEvents: [...names, ...events] }),
    );
  t.is(read(slice, { ...slice, ts: 2, dur: 8 }, { ...slice, ts: 10 }).length, 5);
  t.throws(() => read(slice, { ...slice, ts: 2, dur: 9 }), { message: /overlaps the end of s/ });
  for (const wrong of [{ ts: -1 }, { ts: 0.5 }, { dur: undefined }, { ph: 'B' }, { tid: 'x' }]) {
    t.throws(() => read({ ...slice, ...wrong }), undefined, JSON.stringify(wrong));
  }
  t.throws(() => read({ ...slice, tid: 2 }), { message: /has no name/ });
  t.throws(() => read(names[0]!), { message: /given twice/ });
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
  const lives = entries
    .filter((entry) => entry.ph !== 'M' && entry.cat === 'actor')
    .map(({ name }) => name);
  t.deepEqual(lives, ['started', 'died']);
  const calls = entries.filter((entry) => entry.ph !== 'M' && entry.cat === 'call');
  t.deepEqual(
    calls.map(({ name, ph }) => [name, ph]),
    [['pid', 'X']],
  );
  t.is(calls[0]!.tid, entries.find((entry) => entry.ph !== 'M' && entry.cat === 'actor')!.tid);
});
