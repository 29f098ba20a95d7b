import test from 'ava';
import { ActorDiedError } from '../../errors.ts';
import { createSystem } from '../../runtime/index.ts';
import { nativeStepActor } from './fixtures/native-step-actor.ts';

test('a fault in native code ends one actor, with the signal as its cause of death', async (t) => {
  const system = await createSystem({ bus: 'local', modules: [nativeStepActor.module] });
  try {
    const [victim, neighbour] = await Promise.all([
      system.spawn(nativeStepActor, undefined, { maxRestarts: 0 }),
      system.spawn(nativeStepActor, undefined),
    ]);
    const error = await t.throwsAsync(victim.runUntilFault(), { instanceOf: ActorDiedError });
    const { kind, signal, message } = error!.deathCause;
    t.deepEqual({ kind, signal }, { kind: 'signal', signal: 'SIGSEGV' });
    t.regex(message, /process \(pid \d+\) was ended by SIGSEGV/);
    // Neither its neighbour's process nor this one took any harm.
    t.is(await neighbour.run(), 512 ** 3);
  } finally {
    await system.close();
  }
});

test('an actor whose native code failed is restarted and computes again', async (t) => {
  const system = await createSystem({ bus: 'local', modules: [nativeStepActor.module] });
  try {
    const actor = await system.spawn(nativeStepActor, undefined, {
      maxRestarts: 1,
      restartBackoffMs: 10,
    });
    await t.throwsAsync(actor.runUntilFault(), { instanceOf: ActorDiedError });
    t.is(await actor.run(), 512 ** 3);
  } finally {
    await system.close();
  }
});
