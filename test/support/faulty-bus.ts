import type { Bus, BusMessage } from '../../runtime/bus/bus.ts';

/** What becomes of an answer: nothing, itself, or itself in another shape. */
export type Fault = (
  answer: BusMessage,
  ordinal: number,
) => Promise<BusMessage> | BusMessage | 'lost';

/** A bus whose requests get their answers through `fault`; a lost one fails at its deadline. */
export function withFaultyAnswers(bus: Bus, fault: Fault): Bus {
  let ordinal = 0;
  return {
    kind: bus.kind,
    clock: bus.clock,
    payloadBytesMax: bus.payloadBytesMax,
    publish: (...args) => bus.publish(...args),
    subscribe: (...args) => bus.subscribe(...args),
    createInbox: () => bus.createInbox(),
    onStatus: (listener) => bus.onStatus(listener),
    flush: () => bus.flush(),
    drain: () => bus.drain(),
    close: () => bus.close(),
    async request(subject, data, options) {
      ordinal += 1;
      const own = ordinal;
      const answer = await bus.request(subject, data, options);
      const faulty = await fault(answer, own);
      // A subscribed subject without an answer behaves like an answer that is lost.
      return faulty === 'lost' ? bus.request(silence(bus), data, options) : faulty;
    },
  };
}

function silence(bus: Bus): string {
  const subject = bus.createInbox();
  bus.subscribe(subject, () => undefined);
  return subject;
}
