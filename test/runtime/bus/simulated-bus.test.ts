import { SimulatedNetwork } from '../../../runtime/bus/simulated-bus.ts';
import { createRandom } from '../../../runtime/simulation/random.ts';
import { createSimulatedClock } from '../../../runtime/simulation/simulated-clock.ts';
import { Lifeline, VirtualTime } from '../../../runtime/simulation/virtual-time.ts';
import { type BusNetwork, registerBusContract } from '../../support/bus-contract.ts';

registerBusContract('simulated', async () => {
  const time = new VirtualTime();
  const random = createRandom(1);
  const delayMs = (): number => random.between(0.1, 2);
  const faults = { loss: 0, duplication: 0, reordering: 0, delayMs };
  const network = new SimulatedNetwork({ time, random, faults });
  const closed = Promise.withResolvers<void>();
  let open = true;
  // The contract awaits what the buses do, so time has to run beside it.
  void (async () => {
    while (open) {
      await time.run(() => false, time.nowMs + 10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    closed.resolve();
  })();
  let connections = 0;
  return {
    async connect() {
      connections += 1;
      const lifeline = new Lifeline();
      const skew = { offsetMs: 0, rate: 1 };
      const clock = createSimulatedClock({ time, lifeline, skew, timerLateMsMax: 0, random });
      const name = `s${connections}`;
      return network.connect({ name, place: name, clock, lifeline }).bus;
    },
    async close() {
      open = false;
      await closed.promise;
    },
  } satisfies BusNetwork;
});
