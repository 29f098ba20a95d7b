import test from 'ava';
import { type ReceivedCall, Session } from '../../../runtime/calls/session.ts';
import type { CallMessage } from '../../../runtime/wire/call-messages.ts';
import { collectGarbageUntil } from '../../support/garbage.ts';

function call(seq: number, floor: number): CallMessage {
  const rest = { method: 'add', timeoutMs: 1000, value: [] };
  return { kind: 'call', to: 'a@n#1', from: 'inbox', seq, floor, ...rest };
}

function createSession(floor = 0) {
  const ran: ReceivedCall[] = [];
  const resent: Uint8Array[] = [];
  const session = new Session(
    floor,
    (received) => ran.push(received),
    (reply) => resent.push(reply),
  );
  const order = (): readonly number[] => ran.map(({ message }) => message.seq);
  return { session, ran, resent, order };
}

test('session runs a call once, however often it comes', (t) => {
  const { session, ran, order } = createSession();
  session.accept(call(0, 0));
  session.accept(call(0, 0));
  t.deepEqual(order(), [0]);
  t.is(ran[0]?.state, 'waiting');
});

test('session holds a call back until the ones before it have come', (t) => {
  const { session, order } = createSession();
  session.accept(call(2, 0));
  session.accept(call(1, 0));
  t.deepEqual(order(), []);
  session.accept(call(0, 0));
  t.deepEqual(order(), [0, 1, 2]);
});

test('session does not wait for a call that its caller gave up', (t) => {
  const { session, order } = createSession();
  session.accept(call(2, 0));
  session.accept(call(3, 2));
  t.deepEqual(order(), [2, 3]);
});

test('session repeats a kept answer, and forgets it when the caller has it', (t) => {
  const { session, ran, resent } = createSession();
  session.accept(call(0, 0));
  const reply = new Uint8Array([7]);
  session.settle(ran[0]!, reply);
  session.accept(call(0, 0));
  t.deepEqual(resent, [reply]);
  session.accept(call(1, 1));
  t.deepEqual(session.probe(1, 2), { missing: [], forgotten: [] });
  t.is(resent.length, 1);
});

test('session tells a probe what is missing', (t) => {
  const { session, resent, ran } = createSession();
  session.accept(call(0, 0));
  session.accept(call(2, 0));
  session.settle(ran[0]!, new Uint8Array(1));
  t.deepEqual(session.probe(0, 5), { missing: [1, 3, 4], forgotten: [] });
  t.is(resent.length, 1, 'the answer to call 0 goes out again');
});

test('session keeps answers up to a bound and says which are gone', (t) => {
  const { session, ran } = createSession();
  for (const seq of [0, 1, 2]) {
    session.accept(call(seq, 0));
    session.settle(ran[seq]!, new Uint8Array(3 << 20));
  }
  t.deepEqual(session.probe(0, 3), { missing: [], forgotten: [0, 1] });
});

test('session keeps nothing of an answered call but the answer', async (t) => {
  const { session, ran, resent } = createSession();
  session.accept(call(0, 0));
  let collected = false;
  const registry = new FinalizationRegistry(() => {
    collected = true;
  });
  // In a function of its own, whose frame then holds nothing of the call any more.
  const settle = (): void => {
    const received = ran.pop()!;
    registry.register(received, undefined);
    session.settle(received, new Uint8Array([7]));
  };
  settle();
  t.true(await collectGarbageUntil(() => collected));
  session.accept(call(0, 0));
  t.deepEqual(resent, [new Uint8Array([7])]);
});

test('session tells a running call once that it is cancelled', (t) => {
  const { session, ran } = createSession();
  session.accept(call(0, 0));
  let told = 0;
  ran[0]!.onCancel = () => {
    told += 1;
  };
  session.cancel(0);
  session.cancel(0);
  t.is(told, 1);
  t.true(ran[0]!.cancelled);
});
