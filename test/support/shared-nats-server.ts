import test from 'ava';
import { type NatsServer, startNatsServer } from './nats-server.ts';
import { counter } from './test-actors.ts';

/** One nats-server for all tests of a file; answers the options of systems of counters on it. */
export function shareNatsServer() {
  let server: NatsServer;
  test.before(async () => {
    server = await startNatsServer();
  });
  test.after.always(() => server?.stop());
  return (namespace: string) => {
    const nats = { servers: server.url, timeoutMs: 10_000 };
    return { bus: { nats }, namespace, modules: [counter.module], warmProcesses: 0 };
  };
}
