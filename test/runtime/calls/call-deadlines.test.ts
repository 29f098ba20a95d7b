import test from 'ava';
import { CallDeadlines } from '../../../runtime/calls/call-deadlines.ts';
import { PendingCall } from '../../../runtime/calls/pending-call.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const outgoing = {
  method: 'm',
  args: [],
  idempotent: false,
  timeoutMs: 1,
  signal: undefined,
  stream: undefined,
  key: undefined,
};

function callUntil(deadlineAt: number): PendingCall {
  const ignore = (): void => {};
  return new PendingCall(outgoing, deadlineAt, ignore, ignore);
}

test('calls expire in their time, whatever the order in which they were made', async (t) => {
  const clock = createManualClock();
  const expired: number[] = [];
  const open = new Set<PendingCall>();
  const deadlines = new CallDeadlines(
    clock,
    () => [...open],
    (call) => {
      open.delete(call);
      expired.push(call.deadlineAt);
    },
  );
  const settled = callUntil(20);
  for (const call of [callUntil(30), settled, callUntil(10)]) {
    open.add(call);
    deadlines.watch(call);
  }
  open.delete(settled);
  await clock.advance(9);
  t.deepEqual(expired, []);
  await clock.advance(1);
  t.deepEqual(expired, [10]);
  await clock.advance(20);
  t.deepEqual(expired, [10, 30]);
});

test('no timer stays behind when no call is open', async (t) => {
  const manual = createManualClock();
  let armed = 0;
  const clock: Clock = {
    now: () => manual.now(),
    setTimeout(callback, delayMs) {
      armed += 1;
      const timer = manual.setTimeout(callback, delayMs);
      return {
        cancel() {
          armed -= 1;
          timer.cancel();
        },
      };
    },
  };
  const deadlines = new CallDeadlines(
    clock,
    () => [],
    () => {},
  );
  deadlines.watch(callUntil(10));
  t.is(armed, 1);
  deadlines.rest();
  t.is(armed, 0);
});
