import test from 'ava';
import type { DeathCause } from '../../../errors.ts';
import { connectNatsBus } from '../../../runtime/bus/connect-nats.ts';
import { requestControl } from '../../../runtime/calls/control.ts';
import { watchLink } from '../../../runtime/calls/endpoint.ts';
import { addressOf } from '../../../runtime/calls/handle.ts';
import { systemClock } from '../../../runtime/clock.ts';
import { createSystem, type System } from '../../../runtime/index.ts';
import { ProcessPool } from '../../../runtime/nodes/process-pool.ts';
import { incarnationOf, subjects } from '../../../runtime/wire/address.ts';
import { encodeFrame } from '../../../runtime/wire/frame.ts';
import { encodeMessage, type WireMessage } from '../../../runtime/wire/wire.ts';
import { shareNatsServer } from '../../support/shared-nats-server.ts';
import { counter } from '../../support/test-actors.ts';

const common = shareNatsServer();

/** Somebody on the bus who speaks the protocol, to a node. */
async function joinAsStranger(namespace: string) {
  const bus = await connectNatsBus(common(namespace).bus.nats);
  const link = watchLink(bus, systemClock);
  const endpoint = { bus, clock: systemClock, namespace, nodeId: 'stranger', link };
  return {
    say: async ({ nodeId }: System, message: WireMessage) => {
      const parcel = { bytes: encodeMessage(message) };
      const options = { timeoutMs: 10_000 };
      await requestControl(endpoint, subjects.node(namespace, nodeId), 'done', parcel, options);
    },
    async [Symbol.asyncDispose]() {
      link.close();
      await bus.close();
    },
  };
}

test('nobody is believed what he says of an actor that he does not run', async (t) => {
  await using system = await createSystem(common('believed'));
  const actor = await system.spawn(counter, {}, { name: 'victim', restartBackoffMs: 10 });
  t.is(await actor.addAndSave(7), 7);
  const { name, owner } = addressOf(actor);
  const incarnation = incarnationOf(owner, name, 1);
  const deaths: string[] = [];
  system.onActorEvent(({ event }) => deaths.push(event));
  await using stranger = await joinAsStranger('believed');
  for (const secret of ['', 'guessed']) {
    const cause = { kind: 'exit', exitCode: 1, message: 'so they say', lastOutput: [] } as const;
    await stranger.say(system, { kind: 'exited', incarnation, secret, cause });
    const value = encodeFrame({ count: 1_000 });
    const forged = { kind: 'checkpoint', incarnation, name, secret, number: 9, value } as const;
    await t.throwsAsync(stranger.say(system, forged), { message: /has not its secret/ });
  }
  t.deepEqual(deaths, []);
  t.is(await actor.add(1), 8, 'it still lives');
  await t.throwsAsync(actor.exit(1), { code: 'ACTOR_DIED' });
  t.is(await actor.read(), 7, 'from its own state');
});

test('a process is ready when itself says so', async (t) => {
  const ready = Promise.withResolvers<void>();
  const exited = Promise.withResolvers<DeathCause>();
  const end = (): void => exited.resolve({ kind: 'stopped', message: 'it ended', lastOutput: [] });
  let isReady = false;
  let told = '';
  const pool = new ProcessPool({
    boot: { namespace: 'n', nodeId: 'a' },
    clock: systemClock,
    idleMax: 0,
    createProcessId: () => 'a-1',
    createSecret: () => 'only between the two',
    onOutput: () => {},
    onExit: () => {},
    startProcess: ({ boot: { processId, secret, modules } }) => {
      told = secret;
      return {
        processId,
        modules,
        pid: 1,
        alive: true,
        ready: ready.promise,
        exited: exited.promise,
        noteReady() {
          isReady = true;
          ready.resolve();
        },
        renewLease() {},
        setNiceness() {},
        kill: end,
        dismiss: end,
        sampleMemory: async () => {},
      };
    },
  });
  const taken = pool.take('file:///module', undefined);
  pool.noteReady('a-1', 'guessed');
  t.false(isReady);
  pool.noteReady('a-1', told);
  t.is((await taken).processId, 'a-1');
  await pool.close(0);
});
