import type { Bus } from './bus.ts';
import type { NatsOptions } from './nats-options.ts';
import type { HomeHub } from './neighbours.ts';

/**
 * Connects to a NATS server or cluster; see `nats-bus.ts`. The client is loaded only here: every
 * actor's process imports the runtime, and most of them never need it.
 *
 * @throws BusUnavailableError when no server can be reached in time or it refuses us.
 */
export async function connectNatsBus(options: NatsOptions, home?: HomeHub): Promise<Bus> {
  const { connectNatsBus: connect } = await import('./nats-bus.ts');
  return connect(options, home);
}
