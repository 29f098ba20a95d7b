import { DamagedDataError, DeadlineError, NoResponderError } from '../../errors.ts';
import type { Bus, Subscription } from '../bus/bus.ts';
import { delay } from '../clock.ts';
import type { ChunkStore } from '../registry/replicated-checkpoints.ts';
import { encodeToken } from '../wire/address.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';

const TIMEOUT_MS = 30_000;
const ATTEMPT_MS = 2_000;
const PAUSE_MS = 100;
/** A message's room for what is not the chunk. */
const HEADER_BYTES = 1 << 10;

type Order =
  | readonly ['put', path: string, bytes: Uint8Array]
  | readonly ['get' | 'remove', path: string];

/** Stands for the servers' store of states: kept apart from the hosts, and reached over the same bus. */
export function serveChunks(bus: Bus, namespace: string): Subscription {
  const chunks = new Map<string, Uint8Array>();
  return bus.subscribe(subjectOf(namespace), ({ data, replySubject }) => {
    const [operation, path, bytes] = decodeFrame(data) as Order;
    if (operation === 'put') chunks.set(path, bytes!.slice());
    if (operation === 'remove') {
      for (const known of chunks.keys()) if (known.startsWith(`${path}.`)) chunks.delete(known);
    }
    const answer = operation === 'get' ? (chunks.get(path) ?? null) : null;
    if (replySubject !== undefined) bus.publish(replySubject, encodeFrame(answer));
  });
}

/** That store as one host has it. */
export function connectChunks(bus: Bus, namespace: string): ChunkStore {
  const ask = (order: Order): Promise<unknown> => askStore(bus, subjectOf(namespace), order);
  return {
    chunkBytes: bus.payloadBytesMax - HEADER_BYTES,
    put: async (path, bytes) => void (await ask(['put', path, bytes])),
    async get(path) {
      const bytes = await ask(['get', path]);
      if (bytes instanceof Uint8Array) return bytes;
      throw new DamagedDataError(`${path} is not in the simulated store of states`);
    },
    remove: async (path) => void (await ask(['remove', path])),
  };
}

/**
 * A simulated store's answer, asked for until it comes: undefined when `mayAsk`, which is asked before each try, refuses.
 * @throws DeadlineError or NoResponderError when it was out of reach for too long.
 */
export async function askStore(
  bus: Bus,
  subject: string,
  order: unknown,
  mayAsk: () => Promise<boolean> = async () => true,
): Promise<unknown> {
  const { clock } = bus;
  const giveUpAt = clock.now() + TIMEOUT_MS;
  for (;;) {
    try {
      if (!(await mayAsk())) return undefined;
      const { data } = await bus.request(subject, encodeFrame(order), { timeoutMs: ATTEMPT_MS });
      return decodeFrame(data);
    } catch (error) {
      const lost = error instanceof DeadlineError || error instanceof NoResponderError;
      if (!lost || clock.now() >= giveUpAt) throw error;
      await delay(clock, PAUSE_MS);
    }
  }
}

function subjectOf(namespace: string): string {
  return `simulation.${encodeToken(namespace)}.chunks`;
}
