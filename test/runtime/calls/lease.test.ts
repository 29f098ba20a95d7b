import test from 'ava';
import { createMemoryBus } from '../../../runtime/bus/memory-bus.ts';
import { Lease, leasedBus } from '../../../runtime/calls/lease.ts';
import { collect } from '../../support/bus-contract.ts';
import { createManualClock } from '../../support/manual-clock.ts';

test('a lease holds for ever until it is limited, then as long as it is renewed', async (t) => {
  const clock = createManualClock();
  const lease = new Lease(clock);
  t.true(lease.held);
  lease.limit();
  t.false(lease.held);
  const waiting = lease.whenHeld();
  lease.renew(1_000);
  await waiting;
  await clock.advance(999);
  t.true(lease.held);
  lease.renew(-500);
  t.true(lease.held, 'a tick that was read late shortens nothing');
  await clock.advance(1);
  t.false(lease.held);
});

test('what is published while the lease has lapsed is lost', async (t) => {
  const clock = createManualClock();
  const lease = new Lease(clock);
  const bus = createMemoryBus();
  const leased = leasedBus(bus, lease);
  const arrived = collect(bus, 'acts', 1);
  lease.limit();
  leased.publish('acts', Buffer.from('lapsed'));
  lease.renew(1_000);
  leased.publish('acts', Buffer.from('held'));
  t.deepEqual(
    (await arrived).map(({ data }) => Buffer.from(data).toString()),
    ['held'],
  );
});
