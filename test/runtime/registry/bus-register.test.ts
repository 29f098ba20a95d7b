import test from 'ava';
import { DeadlineError } from '../../../errors.ts';
import { createMemoryNetwork } from '../../../runtime/bus/memory-bus.ts';
import { watchLink } from '../../../runtime/calls/endpoint.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { connectRegister, serveRegister } from '../../../runtime/registry/bus-register.ts';
import { createMemoryRegister } from '../../../runtime/registry/memory-register.ts';
import { withFaultyAnswers } from '../../support/faulty-bus.ts';
import { registerRegisterContract } from '../../support/register-contract.ts';

const namespace = 'test';

registerRegisterContract('bus', async () => {
  const network = createMemoryNetwork();
  await serveRegister({ bus: network.connect(), namespace }, createMemoryRegister());
  return {
    async open() {
      const bus = network.connect();
      const link = watchLink(bus, systemClock);
      return connectRegister({ bus, clock: systemClock, namespace, nodeId: 'n1', link });
    },
  };
});

test('a write whose answer is lost happens once', async (t) => {
  const network = createMemoryNetwork();
  const held = createMemoryRegister();
  await serveRegister({ bus: network.connect(), namespace }, held);
  const plain = network.connect();
  // As if the first answer had not come in time: the request is sent again.
  const bus = withFaultyAnswers(plain, (answer, ordinal) => {
    if (ordinal === 1) throw new DeadlineError('the answer was lost');
    return answer;
  });
  const link = watchLink(bus, systemClock);
  const register = connectRegister({ bus, clock: systemClock, namespace, nodeId: 'n1', link });
  const revision = await register.create('a', 1, { timeoutMs: 30_000 });
  t.deepEqual(await held.get('a', { timeoutMs: 1 }), { key: 'a', value: 1, revision: revision! });
});
