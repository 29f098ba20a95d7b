import { type Clock, systemClock } from '../clock.ts';
import type { Bus } from './bus.ts';
import { InProcessBus } from './in-process-bus.ts';
import { Router } from './router.ts';

export interface MemoryNetworkOptions {
  /** The largest message. */
  readonly payloadBytesMax?: number;
  /** What one connection may leave unhandled before its further messages are dropped. */
  readonly pendingBytesMax?: number;
  /** Default: the process's own. */
  readonly clock?: Clock;
}

export interface MemoryNetwork {
  connect(): Bus;
}

/** Connections of one process that reach each other and nobody else. */
export function createMemoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  const { payloadBytesMax = 8 << 20, pendingBytesMax = 64 << 20, clock = systemClock } = options;
  const router = new Router();
  let connections = 0;
  return {
    connect() {
      connections += 1;
      const name = `m${connections}`;
      const limits = { payloadBytesMax, pendingBytesMax };
      return new InProcessBus({ kind: 'memory', clock, router, name, ...limits });
    },
  };
}

/** One connection with a network of its own. */
export function createMemoryBus(options?: MemoryNetworkOptions): Bus {
  return createMemoryNetwork(options).connect();
}
