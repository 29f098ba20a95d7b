import type { Bus } from './bus.ts';
import { InProcessBus } from './in-process-bus.ts';
import { Router } from './router.ts';

export interface MemoryNetworkOptions {
  /** The largest message. */
  readonly payloadBytesMax?: number;
  /** What one connection may leave unhandled before its further messages are dropped. */
  readonly pendingBytesMax?: number;
}

export interface MemoryNetwork {
  connect(): Bus;
}

/** Connections of one process that reach each other and nobody else. */
export function createMemoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  const { payloadBytesMax = 8 << 20, pendingBytesMax = 64 << 20 } = options;
  const router = new Router();
  let connections = 0;
  return {
    connect() {
      connections += 1;
      const name = `m${connections}`;
      return new InProcessBus({ kind: 'memory', router, name, payloadBytesMax, pendingBytesMax });
    },
  };
}

/** One connection with a network of its own. */
export function createMemoryBus(options?: MemoryNetworkOptions): Bus {
  return createMemoryNetwork(options).connect();
}
