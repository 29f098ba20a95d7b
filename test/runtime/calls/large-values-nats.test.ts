import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PayloadTooLargeError } from '../../../errors.ts';
import { connectNatsBus, createSystem, type System } from '../../../runtime/index.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNodeProcess } from '../../support/node-process.ts';
import { counter } from '../../support/test-actors.ts';

const BYTES = 4 << 20;
let server: NatsServer;
test.before(async () => {
  server = await startNatsServer();
});
test.after.always(() => server?.stop());

/** Bytes that went through the server while `body` ran. */
async function bytesOnServer(t: ExecutionContext, body: () => Promise<void>): Promise<number> {
  const spy = await connectNatsBus({ servers: server.url, timeoutMs: 10_000 });
  t.teardown(() => spy.close());
  let bytes = 0;
  spy.subscribe('>', ({ data }) => {
    bytes += data.length;
  });
  await spy.flush();
  await body();
  await spy.flush();
  return bytes;
}

async function withNodes(
  t: ExecutionContext,
  environment: Readonly<Record<string, string>>,
  body: (system: System, far: NodeProcess) => Promise<void>,
  limits: { readonly valueBytesMax?: number } = {},
): Promise<void> {
  const bus = { nats: { servers: server.url, timeoutMs: 10_000, ...limits } };
  const common = { bus, namespace: t.title.replace(/\W/g, '-'), modules: [counter.module] };
  await using system = await createSystem(common);
  await using far = await startNodeProcess(common, 'host', environment);
  await system.waitForNodes(2, { timeoutMs: 20_000 });
  await body(system, far);
}

/** There and back again. */
async function echo(t: ExecutionContext, system: System, nodeId: string): Promise<void> {
  const actor = await system.spawn(counter, {}, { placement: { nodeId } });
  const sent = new Uint8Array(BYTES).map((_, index) => index);
  const answer = (await actor.echo(sent)) as Uint8Array;
  t.true(Buffer.from(answer).equals(sent));
}

test.serial('large arguments and results stay on their host, from node to node too', async (t) => {
  await withNodes(t, {}, async (system, far) => {
    const bytes = await bytesOnServer(t, async () => {
      await echo(t, system, system.nodeId);
      await echo(t, system, far.nodeId);
    });
    t.true(bytes > 0 && bytes < BYTES / 4, `${bytes} bytes went through the server`);
  });
});

test.serial('between hosts large arguments and results go through the server', async (t) => {
  const elsewhere = await mkdtemp(join(tmpdir(), 'codistill-far-'));
  t.teardown(() => rm(elsewhere, { recursive: true, force: true }));
  await withNodes(t, { TMPDIR: elsewhere }, async (system, far) => {
    const bytes = await bytesOnServer(t, () => echo(t, system, far.nodeId));
    t.true(bytes > 2 * BYTES, `${bytes} bytes went through the server`);
  });
});

test.serial('a value that its receiver does not take fails the call at once', async (t) => {
  const refused = { instanceOf: PayloadTooLargeError, message: /4194\d+ bytes.*valueBytesMax/ };
  const body = async (system: System, far: NodeProcess): Promise<void> => {
    const actor = await system.spawn(counter, {}, { placement: { nodeId: far.nodeId } });
    await t.throwsAsync(actor.echo(new Uint8Array(BYTES)), refused);
    await t.throwsAsync(actor.makeBytes(BYTES), refused);
    t.is(await actor.read(), 0);
  };
  await withNodes(t, {}, body, { valueBytesMax: 2 << 20 });
});
