import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { registerActorContract } from '../../support/actor-contract.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';

let server: NatsServer | undefined;
test.after.always('stop the server', () => server?.stop());

registerActorContract('actor processes over NATS', async () => {
  server = await startNatsServer();
  return createSystem({ bus: { nats: { servers: server.url, timeoutMs: 10_000 } } });
});
