import test from 'ava';
import { DeadlineError } from '../../../errors.ts';
import { createMemoryNetwork } from '../../../runtime/bus/memory-bus.ts';
import { watchLink } from '../../../runtime/calls/endpoint.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { createSimulation } from '../../../runtime/index.ts';
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

// Seed 31 of the jobs: a controller whose host was cut off never heard that its job was to stop.
test('a watch tells of a change whose word was lost', async (t) => {
  const simulation = createSimulation({ seed: 1 });
  const a = await simulation.startHost({ name: 'a' });
  const b = await simulation.startHost({ name: 'b' });
  const heard: unknown[] = [];
  const wait = { timeoutMs: 5_000 };
  const watching = connectRegister(a.endpoint).watch(
    'jobs',
    (change) => heard.push(change.type === 'set' ? change.value : change.type),
    wait,
  );
  await simulation.run(watching);
  simulation.partitionRegister([a]);
  await simulation.run(connectRegister(b.endpoint).create('jobs.x', 'stop', wait));
  await simulation.runFor(1_000);
  t.deepEqual(heard, []);
  simulation.heal();
  await simulation.runFor(20_000);
  t.deepEqual(heard, ['stop'], 'once');
});
