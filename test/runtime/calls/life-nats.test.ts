import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { registerLifeContract } from '../../support/life-contract.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';

let server: NatsServer | undefined;
test.after.always('stop the server', () => server?.stop());

const open = async () => {
  server = await startNatsServer();
  return createSystem({ bus: { nats: { servers: server.url, timeoutMs: 10_000 } } });
};
registerLifeContract('actor processes over NATS', open, { isolated: true });
