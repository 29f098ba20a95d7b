import test from 'ava';
import { Mailbox } from '../../../runtime/calls/mailbox.ts';

test('mailbox runs one job at a time, first in first out', async (t) => {
  const mailbox = new Mailbox(10);
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  mailbox.push(async () => {
    log.push('first begins');
    await gate.promise;
    log.push('first ends');
  });
  mailbox.push(() => {
    log.push('second');
  });
  t.deepEqual(log, ['first begins']);
  gate.resolve();
  await mailbox.idle();
  t.deepEqual(log, ['first begins', 'first ends', 'second']);
});

test('mailbox refuses when full and takes again when a job is done', async (t) => {
  const mailbox = new Mailbox(2);
  const gate = Promise.withResolvers<void>();
  mailbox.push(() => gate.promise);
  t.true(mailbox.push(() => {}));
  t.true(mailbox.push(() => {}));
  t.false(
    mailbox.push(() => {}),
    'one runs, two wait',
  );
  gate.resolve();
  await mailbox.idle();
  t.true(mailbox.push(() => {}));
});

test('mailbox keeps its order over more messages than one array slice', async (t) => {
  const mailbox = new Mailbox(10_000);
  const seen: number[] = [];
  for (let index = 0; index < 5_000; index += 1) {
    mailbox.push(async () => {
      seen.push(index);
    });
  }
  await mailbox.idle();
  t.deepEqual(
    seen,
    Array.from({ length: 5_000 }, (_, index) => index),
  );
});

test('mailbox forgets what waits when cleared, not what runs', async (t) => {
  const mailbox = new Mailbox(2);
  const gate = Promise.withResolvers<void>();
  const ran: string[] = [];
  mailbox.push(async () => {
    await gate.promise;
    ran.push('first');
  });
  mailbox.push(() => {
    ran.push('second');
  });
  mailbox.clear();
  gate.resolve();
  await mailbox.idle();
  t.deepEqual(ran, ['first']);
});

test('mailbox refuses a bound that is none', (t) => {
  t.throws(() => new Mailbox(0), { instanceOf: RangeError });
  t.throws(() => new Mailbox(1.5), { instanceOf: RangeError });
});
