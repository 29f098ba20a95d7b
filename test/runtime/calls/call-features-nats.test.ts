import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { registerCallContract } from '../../support/call-contract.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';

let server: NatsServer | undefined;
test.after.always('stop the server', () => server?.stop());

const open = async () => {
  server = await startNatsServer();
  return createSystem({ bus: { nats: { servers: server.url, timeoutMs: 10_000 } } });
};
registerCallContract('actor processes over NATS', open, { isolated: true });
