import type { Bus } from '../../runtime/bus/bus.ts';

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Faults {
  readonly loss: number;
  readonly duplication: number;
  /** The share of messages that are overtaken by the next one. */
  readonly reordering: number;
}

/** A bus whose published messages may get lost, come twice or change places. Requests are spared. */
export function withFaults(bus: Bus, random: () => number, faults: Faults): Bus {
  let held: (() => void) | undefined;
  return {
    kind: bus.kind,
    clock: bus.clock,
    payloadBytesMax: bus.payloadBytesMax,
    publish(subject, data, options) {
      const send = (): void => {
        if (random() < faults.loss) return;
        bus.publish(subject, data, options);
        if (random() < faults.duplication) bus.publish(subject, data, options);
      };
      const overtaken = held;
      held = undefined;
      if (overtaken === undefined && random() < faults.reordering) {
        held = send;
        return;
      }
      send();
      overtaken?.();
    },
    subscribe: (...args) => bus.subscribe(...args),
    request: (...args) => bus.request(...args),
    createInbox: () => bus.createInbox(),
    onStatus: (listener) => bus.onStatus(listener),
    flush: () => bus.flush(),
    drain: () => bus.drain(),
    close: () => bus.close(),
  };
}
