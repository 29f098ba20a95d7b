import test from 'ava';
import { BusOverloadedError } from '../../../errors.ts';
import type { BusStatus } from '../../../runtime/bus/bus.ts';
import { createMemoryBus, createMemoryNetwork } from '../../../runtime/bus/memory-bus.ts';
import { collect, registerBusContract } from '../../support/bus-contract.ts';

registerBusContract('memory', async () => {
  const network = createMemoryNetwork({ payloadBytesMax: 1 << 20 });
  return { connect: async () => network.connect(), close: async () => undefined };
});

test('messages are handled after publish returns, not within it', async (t) => {
  const bus = createMemoryBus();
  const arrived = collect(bus, 'a', 1);
  let handled = false;
  bus.subscribe('a', () => {
    handled = true;
  });
  bus.publish('a', new Uint8Array(1));
  t.false(handled);
  await arrived;
});

test('what a consumer leaves unhandled is bounded, and it is told what was dropped', async (t) => {
  const network = createMemoryNetwork({ pendingBytesMax: 100_000 });
  const [sender, slow] = [network.connect(), network.connect()];
  let received = 0;
  slow.subscribe('data', () => {
    received += 1;
  });
  const told = new Promise<BusStatus>((resolve) => slow.onStatus(resolve));
  for (let i = 0; i < 1_000; i += 1) sender.publish('data', new Uint8Array(1_000));
  await t.throwsAsync(sender.request('data', new Uint8Array(1_000), { timeoutMs: 10_000 }), {
    instanceOf: BusOverloadedError,
  });
  const status = await told;
  t.is(status.type, 'slow-consumer');
  t.true(status.type === 'slow-consumer' && status.droppedMessages === 1_001 - received);
  t.true(received > 0 && received * 1_000 <= 100_000);
  const last = collect(slow, 'data', 1);
  sender.publish('data', new Uint8Array(1));
  t.is((await last)[0]?.data.length, 1);
});

test('two connections that answer each other for ever let timers run', async (t) => {
  const network = createMemoryNetwork();
  const [one, other] = [network.connect(), network.connect()];
  one.subscribe('ping', () => one.publish('pong', new Uint8Array()));
  other.subscribe('pong', () => other.publish('ping', new Uint8Array()));
  one.publish('pong', new Uint8Array());
  await new Promise((resolve) => setTimeout(resolve, 1));
  await Promise.all([one.close(), other.close()]);
  t.pass();
});
