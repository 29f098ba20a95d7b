import test from 'ava';
import { recogniseEvent } from '../../../cli/observation/event-shapes.ts';
import { advance, emptyProgress, timeLeftMs } from '../../../cli/output/progress.ts';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
} from '../../../cli/output/quantity.ts';

const step = (replica: string, at: number, steps = 100) => ({
  type: 'step' as const,
  replica,
  step: at,
  steps,
  loss: 2,
});

test('the time left is that of the slowest replica', (t) => {
  let progress = emptyProgress;
  progress = advance(progress, step('a', 1), 1000);
  progress = advance(progress, step('b', 1), 1000);
  t.is(timeLeftMs(progress), undefined);
  progress = advance(progress, step('a', 51), 6000);
  progress = advance(progress, step('b', 26), 6000);
  // b does 25 steps in 5 s and has 74 left.
  t.is(timeLeftMs(progress), 14_800);
});

test('a replica that goes back to its checkpoint is timed anew from there', (t) => {
  let progress = advance(emptyProgress, step('a', 10), 0);
  progress = advance(progress, step('a', 20), 10_000);
  progress = advance(progress, step('a', 11), 60_000);
  t.is(timeLeftMs(progress), undefined);
  progress = advance(progress, step('a', 12), 61_000);
  t.is(timeLeftMs(progress), 88_000);
});

test('replicas stand in the order of their numbers, whoever comes first', (t) => {
  let progress = emptyProgress;
  for (const name of ['replica-10', 'replica-2', 'replica-1']) {
    progress = advance(progress, step(name, 1), 0);
  }
  t.deepEqual([...progress.replicas.keys()], ['replica-1', 'replica-2', 'replica-10']);
});

test('restarts are counted', (t) => {
  const event = { type: 'actor', event: 'restarted', actor: 'trainer-0' } as const;
  t.is(advance(advance(emptyProgress, event, 0), event, 0).restarts, 2);
});

test('an event of a known name and another shape is left to its job', (t) => {
  t.is(recogniseEvent({ type: 'step', direction: 'left' }), undefined);
  t.is(recogniseEvent({ type: 'waltz' }), undefined);
  t.deepEqual(recogniseEvent({ ...step('a', 1), more: true }), step('a', 1));
});

test('figures are written for people', (t) => {
  t.is(formatBytes(999), '999 B');
  t.is(formatBytes(1_250_000), '1.3 MB');
  t.is(formatCount(1234567), '1,234,567');
  t.is(formatNumber(null), '–');
  t.is(formatDuration(12_400), '12 s');
  t.is(formatDuration(200_000), '3 min 20 s');
  t.is(formatDuration(3_720_000), '1 h 02 min');
});
