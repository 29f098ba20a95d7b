import type { Bus, Subscription } from '../bus/bus.ts';
import { delay } from '../clock.ts';
import type { EventStore, StoredEvent } from '../jobs/event-store.ts';
import { encodeToken } from '../wire/address.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';
import { askStore } from './simulated-chunks.ts';

const EVENT_BYTES_MAX = 4 << 10;
/** So many go into one message, which has to carry them. */
const READ_BYTES_MAX = 6 << 10;
const POLL_MS = 200;

type Order =
  | readonly ['append', job: string, id: string, after: number, bytes: Uint8Array]
  | readonly ['last', job: string]
  | readonly ['read', job: string, from: number];

interface Kept {
  readonly atMs: number;
  readonly bytes: Uint8Array;
}

/** Stands for the servers' log of jobs: kept apart from the hosts, and reached over the same bus. */
export function serveEvents(bus: Bus, namespace: string): Subscription {
  const logs = new Map<string, Kept[]>();
  /** The numbers of what was kept, by the ids of the orders. */
  const known = new Map<string, number>();
  return bus.subscribe(subjectOf(namespace), ({ data, replySubject }) => {
    const order = decodeFrame(data) as Order;
    const log = logs.get(order[1]) ?? [];
    logs.set(order[1], log);
    const answer = obey(order, log);
    if (replySubject !== undefined) bus.publish(replySubject, encodeFrame(answer));
  });

  function obey(order: Order, log: Kept[]): readonly Kept[] | number | undefined {
    if (order[0] === 'read') return someOf(log.slice(order[2]));
    if (order[0] === 'last') return log.length;
    const [, , id, after, bytes] = order;
    if (!known.has(id) && after === log.length) {
      known.set(id, log.push({ atMs: bus.clock.now(), bytes: bytes.slice() }));
    }
    return known.get(id);
  }
}

function someOf(log: readonly Kept[]): readonly Kept[] {
  let bytes = 0;
  const end = log.findIndex((kept, index) => {
    bytes += kept.bytes.length;
    return index > 0 && bytes > READ_BYTES_MAX;
  });
  return end < 0 ? log : log.slice(0, end);
}

/** That log as one process has it. */
export function connectEvents(bus: Bus, namespace: string): EventStore {
  const subject = subjectOf(namespace);
  return {
    eventBytesMax: EVENT_BYTES_MAX,
    last: async (job) => (await askStore(bus, subject, ['last', job])) as number,
    async append(job, bytes, after, mayWrite) {
      const order: Order = ['append', job, bus.createInbox(), after, bytes];
      return (await askStore(bus, subject, order, mayWrite)) as number | undefined;
    },
    async *read(job, { follow, signal }): AsyncGenerator<StoredEvent> {
      let next = 0;
      while (!signal.aborted) {
        const order: Order = ['read', job, next];
        const events = ((await askStore(bus, subject, order)) ?? []) as readonly Kept[];
        for (const { atMs, bytes } of events) yield { at: new Date(atMs), bytes };
        next += events.length;
        if (events.length > 0) continue;
        if (!follow) return;
        await delay(bus.clock, POLL_MS, signal).catch(() => {});
      }
    },
  };
}

function subjectOf(namespace: string): string {
  return `simulation.${encodeToken(namespace)}.events`;
}
