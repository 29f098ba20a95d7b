import { JetStreamApiError } from '@nats-io/jetstream';
import test from 'ava';
import { DeadlineError } from '../../../errors.ts';
import { repeatUntil } from '../../../runtime/registry/jetstream.ts';

/** As a server answers. */
function refusal(status: number, code: number, description: string): JetStreamApiError {
  return new JetStreamApiError({ code: status, err_code: code, description });
}

test('a write is repeated while there is no leader, or its earlier attempt is in process', async (t) => {
  const failures = [
    refusal(503, 10008, 'JetStream system temporarily unavailable'),
    refusal(409, 10158, 'duplicate message id is in process'),
  ];
  const done = await repeatUntil(5_000, 'the write', async () => {
    const failure = failures.shift();
    if (failure) throw failure;
    return 'written';
  });
  t.is(done, 'written');
});

test('a refusal that nothing will change is told at once, a lasting absence at the deadline', async (t) => {
  const wrong = refusal(400, 10071, 'wrong last sequence: 4');
  await t.throwsAsync(
    repeatUntil(5_000, 'the write', () => Promise.reject(wrong)),
    { is: wrong },
  );
  const away = refusal(503, 10008, 'JetStream system temporarily unavailable');
  await t.throwsAsync(
    repeatUntil(300, 'the write', () => Promise.reject(away)),
    { instanceOf: DeadlineError, message: /temporarily unavailable/ },
  );
});
