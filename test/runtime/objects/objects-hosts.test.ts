import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ObjectLostError } from '../../../errors.ts';
import { connectNatsBus, createSystem, type Handle, type System } from '../../../runtime/index.ts';
import { decodeChunkRequest } from '../../../runtime/wire/chunk-request.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNodeProcess } from '../../support/node-process.ts';
import { type Keeper, keeper } from '../../support/object-actors.ts';

const LENGTH = 1_000_000;
const SUM = (LENGTH * (LENGTH - 1)) / 2;
let server: NatsServer;
test.before(async () => {
  server = await startNatsServer();
});
test.after.always(() => server?.stop());

interface Scene {
  readonly system: System;
  readonly far: NodeProcess;
  /** Lives with `far`. */
  readonly actor: Handle<Keeper>;
  readonly namespace: string;
}

/** Two nodes, which find each other's hubs only if they have one temporary folder. */
async function withNodes(
  namespace: string,
  environment: Readonly<Record<string, string>>,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const bus = { nats: { servers: server.url, timeoutMs: 10_000 } };
  const common = { bus, namespace, modules: [keeper.module], warmProcesses: 0 };
  await using system = await createSystem({ ...common, nodeName: 'near' });
  await using far = await startNodeProcess({ ...common, nodeName: 'far' }, 'host', environment);
  await system.waitForNodes(2, { timeoutMs: 20_000 });
  const actor = await system.spawn(
    keeper,
    {},
    { placement: { nodeId: far.nodeId }, maxRestarts: 0 },
  );
  await body({ system, far, actor, namespace });
}

test('nodes of one host pass objects over a Unix socket and keep no copy', async (t) => {
  await withNodes('one-host', {}, async ({ system, actor }) => {
    using made = await actor.put(LENGTH);
    t.is((await system.get(made))[LENGTH - 1], LENGTH - 1);
    t.deepEqual(system.objects(), []);
    using own = await system.put(new Float64Array(LENGTH).fill(1));
    t.is(await actor.sum(own), LENGTH);
  });
});

test('many readers of one host fetch an object of another one once', async (t) => {
  const elsewhere = await mkdtemp(join(tmpdir(), 'codistill-far-'));
  t.teardown(() => rm(elsewhere, { recursive: true, force: true }));
  const scene = { TMPDIR: elsewhere };
  await withNodes('two-hosts', scene, async ({ system, far, actor, namespace }) => {
    const spy = await connectNatsBus({ servers: server.url, timeoutMs: 10_000 });
    t.teardown(() => spy.close());
    const sums: string[] = [];
    spy.subscribe(`codistill.${namespace}.objects.${far.nodeId}.*`, ({ data }) => {
      const request = decodeChunkRequest(data);
      if (request?.kind === 'sums') sums.push(request.receiver);
    });
    await spy.flush();
    using made = await actor.put(LENGTH);
    const readers = await Promise.all([1, 2, 3].map(() => system.spawn(keeper, {})));
    const read = readers.map((reader) => reader.sum(made));
    t.deepEqual(await Promise.all(read), [SUM, SUM, SUM]);
    t.is((await system.get(made)).length, LENGTH);
    await spy.flush();
    t.is(sums.length, 1);
    t.deepEqual(
      system.objects().map(({ id, owner, where }) => ({ id, owner, where })),
      [{ id: made.id, owner: far.nodeId, where: 'memory' }],
    );
  });
});

test('an object holds those of another node that it refers to', async (t) => {
  await withNodes('inner', {}, async ({ system, actor }) => {
    const inner = await actor.put(LENGTH);
    const outer = await system.put({ inner });
    inner.release();
    const got = await system.get(outer);
    outer.release();
    t.is((await system.get(got.inner))[LENGTH - 1], LENGTH - 1);
  });
});

test('an object whose node is killed is lost, and a get says so', async (t) => {
  await withNodes('lost-owner', {}, async ({ system, far, actor }) => {
    const made = await actor.put(LENGTH);
    far.send('SIGKILL');
    const error = await t.throwsAsync(system.get(made), {
      instanceOf: ObjectLostError,
      message: /has ended on this host/,
    });
    t.is(error?.reason, 'owner-died');
  });
});

test('once a node of another host is known to be gone, only copies of this host are left', async (t) => {
  const elsewhere = await mkdtemp(join(tmpdir(), 'codistill-far-'));
  t.teardown(() => rm(elsewhere, { recursive: true, force: true }));
  await withNodes('gone', { TMPDIR: elsewhere }, async ({ system, far, actor }) => {
    const [copied, other] = [await actor.put(LENGTH), await actor.put(LENGTH)];
    await system.get(copied);
    const reader = await system.spawn(keeper, {});
    far.send('SIGSTOP');
    // Under way when the death becomes known: nobody says that the far side doesn't listen.
    const reading = reader.get(other);
    const lost = { instanceOf: ObjectLostError, message: /was silent/ };
    await t.throwsAsync(reading, lost);
    await t.throwsAsync(system.get(other), lost);
    t.is((await system.get(copied))[1], 1);
    t.is(await reader.sum(copied), SUM);
  });
});
