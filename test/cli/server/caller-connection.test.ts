import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { requestControl } from '../../../runtime/calls/control.ts';
import { watchLink } from '../../../runtime/calls/endpoint.ts';
import { addressOf } from '../../../runtime/calls/handle.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { connectNatsBus, createSystem } from '../../../runtime/index.ts';
import { incarnationOf, subjects } from '../../../runtime/wire/address.ts';
import { encodeMessage, type WireMessage } from '../../../runtime/wire/wire.ts';
import { openForeignClient } from '../../support/foreign-client.ts';
import { freePortRow } from '../../support/free-port.ts';
import { findNatsServer } from '../../support/nats-server.ts';
import { counter } from '../../support/test-actors.ts';
import { actorctl, makeFolder, startActorctl } from '../actorctl-process.ts';

const namespace = 'default';

interface Connection {
  readonly servers: readonly string[];
  readonly user: string;
  readonly password: string;
  readonly inboxPrefix?: string;
}

test('who has the connection of callers calls and looks, and orders nothing', async (t) => {
  await using folder = await makeFolder();
  const dir = join(folder.path, 'server');
  const environment = { CODISTILL_NATS_SERVER: await findNatsServer() };
  const args = ['up', '--dir', dir, '--port', String(await freePortRow()), '--json'];
  await using up = startActorctl(args, folder.path, environment);
  await up.waitForLine((line) => line.includes('"joined"'));
  const read = async (name: string): Promise<Connection> =>
    JSON.parse(await readFile(join(dir, name), 'utf8'));
  const [node, caller] = [await read('nats.json'), await read('caller.json')];
  await using system = await createSystem({ bus: { nats: { ...node, timeoutMs: 10_000 } } });
  const victim = await system.spawn(counter, {}, { name: 'victim', maxRestarts: 0 });

  const { servers, user, password: pass, inboxPrefix } = caller;
  const options = { servers: [...servers], user, pass, inboxPrefix: inboxPrefix! };
  const client = await openForeignClient(options, namespace, 'victim');
  t.is(await client.call('add', 5), 5);
  await client.close();
  const file = join(dir, 'caller.json');
  const looked = await actorctl(['actors', '--nats', file], folder.path);
  t.regex(looked.stdout, /^victim .* running/m, looked.stderr);

  const bus = await connectNatsBus({ ...caller, timeoutMs: 10_000 });
  const link = watchLink(bus, systemClock);
  const endpoint = { bus, clock: systemClock, namespace, nodeId: 'caller', link };
  const { name, owner } = addressOf(victim);
  const incarnation = incarnationOf(owner, name, 1);
  const timeoutMs = 2_000;
  const order = async (subject: string, message: WireMessage): Promise<unknown> =>
    requestControl(endpoint, subject, 'done', { bytes: encodeMessage(message) }, { timeoutMs });
  const orders: readonly WireMessage[] = [
    { kind: 'kill', incarnation },
    { kind: 'leave', timeoutMs },
    { kind: 'move', name, incarnation, timeoutMs },
    { kind: 'stop-child', name, timeoutMs },
    { kind: 'end-actor', name, timeoutMs },
  ];
  const refused = { code: 'BUS_UNAVAILABLE', message: /does not let us publish/ };
  for (const message of orders) {
    await t.throwsAsync(order(subjects.node(namespace, owner), message), refused, message.kind);
  }
  const others = [
    subjects.actorState(namespace, name),
    subjects.heartbeat(namespace, owner),
    subjects.events(namespace),
    subjects.objects(namespace, owner),
    subjects.process(namespace, `${owner}-1`),
    '$KV.codistill.default.names.victim',
    '$JS.API.STREAM.MSG.GET.KV_codistill',
  ];
  for (const subject of others) {
    await t.throwsAsync(order(subject, { kind: 'ping' }), refused, subject);
  }
  // Where callers may publish, orders need a word that they don't know.
  for (const kind of ['stop', 'drain'] as const) {
    const forged = { kind, to: incarnation, secret: 'guessed', timeoutMs } as const;
    await t.throwsAsync(order(subjects.actor(namespace, name), forged), { code: 'DEADLINE' });
  }
  const unheard: unknown[] = [];
  bus.onStatus((status) => unheard.push(status.type === 'refused' && status.subject));
  for (const subject of ['_INBOX.>', 'codistill.>', subjects.node(namespace, '*')]) {
    await bus.subscribe(subject, () => t.fail(`heard ${subject}`));
  }
  await bus.flush();
  t.is(await victim.add(1), 6, 'it lives on');
  t.deepEqual(unheard, ['_INBOX.>', 'codistill.>', subjects.node(namespace, '*')]);
  link.close();
  await bus.close();

  const drained = await actorctl(['drain', owner, '--nats', file], folder.path);
  t.is(drained.exitCode, 69, drained.stderr);
  t.regex(drained.stderr, /does not let us publish to "\$JS\.API.*check the user's permissions/);
  await system.close();
  up.child.kill('SIGINT');
  t.is((await up.ended).exitCode, 0);
});
