import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { registerObjectContract } from '../../support/object-contract.ts';

let server: NatsServer | undefined;
test.after.always('stop the server', () => server?.stop());

registerObjectContract('actor processes over NATS', async (objects) => {
  server = await startNatsServer();
  return createSystem({ bus: { nats: { servers: server.url, timeoutMs: 10_000 } }, objects });
});
