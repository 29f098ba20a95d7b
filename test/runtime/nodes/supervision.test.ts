import test, { type ExecutionContext } from 'ava';
import { ActorDiedError, BusClosedError, type DeathCause } from '../../../errors.ts';
import {
  type ActorEvent,
  createMemoryCheckpointStore,
  createSystem,
  type System,
  type SystemOptions,
} from '../../../runtime/index.ts';
import { waitForProcessEnd } from '../../support/process-watch.ts';
import { counter } from '../../support/test-actors.ts';

interface Scene {
  readonly system: System;
  readonly events: readonly ActorEvent[];
  /** The next event of this kind that was not taken yet. */
  next(event: ActorEvent['event']): Promise<ActorEvent>;
}

const restarting = { restartBackoffMs: 10 };

async function withSystem(
  body: (scene: Scene) => Promise<void>,
  options: Partial<SystemOptions> = {},
): Promise<void> {
  const system = await createSystem({ bus: 'local', ...options });
  const events: ActorEvent[] = [];
  let taken = 0;
  let wake = (): void => {};
  system.onActorEvent((event) => {
    events.push(event);
    wake();
  });
  const next = async (kind: ActorEvent['event']): Promise<ActorEvent> => {
    for (;;) {
      const index = events.findIndex(({ event }, position) => position >= taken && event === kind);
      if (index >= 0) {
        taken = index + 1;
        return events[index]!;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  try {
    await body({ system, events, next });
  } finally {
    await system.close();
  }
}

function causeOf(t: ExecutionContext, error: Error | undefined): DeathCause {
  if (!(error instanceof ActorDiedError)) {
    t.log(error);
    throw new Error('expected an ActorDiedError');
  }
  return error.deathCause;
}

test('a killed process fails the call in flight with the signal', async (t) => {
  await withSystem(async ({ system }) => {
    const actor = await system.spawn(counter, {}, { maxRestarts: 0 });
    const { pid } = await actor.describe();
    const waiting = actor.wait();
    process.kill(pid, 'SIGKILL');
    const cause = causeOf(t, await t.throwsAsync(waiting));
    t.like(cause, { kind: 'signal', signal: 'SIGKILL' });
    t.regex(cause.message, new RegExp(`pid ${pid}.*SIGKILL`));
    const later = causeOf(t, await t.throwsAsync(actor.read()));
    t.is(later.kind, 'signal', 'calls to the dead actor fail with the same cause');
  });
});

test('an exit is reported with its code and the last lines written', async (t) => {
  await withSystem(async ({ system, next }) => {
    const actor = await system.spawn(counter, {}, { maxRestarts: 0 });
    const cause = causeOf(t, await t.throwsAsync(actor.exit(7)));
    t.like(cause, { kind: 'exit', exitCode: 7, lastOutput: ['last words of the counter'] });
    const died = await next('died');
    t.deepEqual(died.cause?.lastOutput, cause.lastOutput);
  });
});

test('a restarted actor goes on from its checkpoint, before its first call', async (t) => {
  await withSystem(async ({ system, next }) => {
    const actor = await system.spawn(counter, {}, restarting);
    t.is(await actor.addAndSave(40), 40);
    t.is(await actor.add(2), 42);
    const { pid } = await actor.describe();
    process.kill(pid, 'SIGKILL');
    t.is((await next('died')).pid, pid);
    t.is(await actor.read(), 40, 'what came after the checkpoint is gone');
    const { epoch } = await next('restarted');
    t.is(epoch, 2);
  });
});

test('a call to a restarting actor waits and comes in order', async (t) => {
  await withSystem(async ({ system, next }) => {
    const actor = await system.spawn(counter, {}, { restartBackoffMs: 200 });
    process.kill((await actor.describe()).pid, 'SIGKILL');
    await next('died');
    await Promise.all(['a', 'b', 'c'].map((text) => actor.note(text)));
    t.deepEqual(await actor.noted(), ['a', 'b', 'c']);
  });
});

test('an idempotent call in flight at the death is answered by the next life', async (t) => {
  await withSystem(async ({ system }) => {
    const actor = await system.spawn(counter, {}, restarting);
    t.is(await actor.dieOnce(), 'answered in life 2');
  });
});

test('a stream ends with the cause when its actor dies', async (t) => {
  await withSystem(async ({ system }) => {
    const actor = await system.spawn(counter, {}, restarting);
    const stream = actor.count(1_000_000)[Symbol.asyncIterator]();
    await stream.next();
    const { pid } = await actor.describe();
    process.kill(pid, 'SIGKILL');
    const rest = async (): Promise<void> => {
      while (!(await stream.next()).done);
    };
    t.is(causeOf(t, await t.throwsAsync(rest())).kind, 'signal');
  });
});

test('an actor that keeps dying is given up after its limit', async (t) => {
  await withSystem(async ({ system, events, next }) => {
    const actor = await system.spawn(counter, {}, { ...restarting, maxRestarts: 2 });
    for (let life = 1; life <= 3; life += 1) {
      process.kill((await actor.describe()).pid, 'SIGKILL');
      await next('died');
    }
    const error = await t.throwsAsync(actor.read());
    t.regex(causeOf(t, error).message, /after 2 restarts within a minute/);
    const kinds = events.map(({ event }) => event);
    t.deepEqual(kinds, ['started', 'died', 'restarted', 'died', 'restarted', 'died']);
  });
});

test('a process that ends while its actor is created fails the spawn with its last words', async (t) => {
  await withSystem(async ({ system }) => {
    await t.throwsAsync(system.spawn(counter, { fail: 'exit' }), { message: /exited with code 3/ });
  });
});

test('a name can be used again after its actor was stopped, and not before', async (t) => {
  await withSystem(async ({ system }) => {
    const first = await system.spawn(counter, { start: 1 }, { name: 'same' });
    await t.throwsAsync(system.spawn(counter, {}, { name: 'same' }), { code: 'NAME_TAKEN' });
    await system.stop(first);
    const second = await system.spawn(counter, { start: 2 }, { name: 'same' });
    t.is(await second.read(), 2);
  });
});

test('resume goes on from what an earlier system saved; without it an actor starts anew', async (t) => {
  const checkpoints = createMemoryCheckpointStore();
  await withSystem(
    async ({ system }) => {
      const actor = await system.spawn(counter, {}, { name: 'kept' });
      await actor.addAndSave(7);
    },
    { checkpoints },
  );
  await withSystem(
    async ({ system }) => {
      const actor = await system.spawn(counter, {}, { name: 'kept', resume: true });
      t.is(await actor.read(), 7);
      await system.stop(actor);
      const fresh = await system.spawn(counter, {}, { name: 'kept', ...restarting });
      t.is(await fresh.read(), 0);
      process.kill((await fresh.describe()).pid, 'SIGKILL');
      t.is(await fresh.read(), 0, 'a restart does not find the state of another run');
    },
    { checkpoints },
  );
});

test('a store that fails makes saveCheckpoint fail with its error', async (t) => {
  const checkpoints = {
    save: () => Promise.reject(Object.assign(new Error('disk full'), { code: 'ENOSPC' })),
    load: () => Promise.resolve(undefined),
  };
  await withSystem(
    async ({ system }) => {
      const actor = await system.spawn(counter, {});
      const error = await t.throwsAsync(actor.addAndSave(1), { message: 'disk full' });
      t.is((error as { remoteCode?: string }).remoteCode, 'ENOSPC');
      t.is(await actor.read(), 1, 'the actor lives on');
    },
    { checkpoints },
  );
});

test('drain lets actors finish, saves their state and stops them', async (t) => {
  const checkpoints = createMemoryCheckpointStore();
  await withSystem(
    async ({ system, next }) => {
      const actor = await system.spawn(counter, {}, { name: 'drained' });
      await actor.add(3);
      const running = actor.wait();
      await system.drain({ timeoutMs: 10_000 });
      t.is(await running, 'released', 'a running call is not cut off');
      t.is((await next('died')).cause?.kind, 'stopped');
    },
    { checkpoints },
  );
  t.truthy(await checkpoints.load('drained'));
});

test('close leaves no process behind, even one that is stuck', async (t) => {
  const pids: number[] = [];
  await withSystem(async ({ system }) => {
    const [one, stuck] = [await system.spawn(counter, {}), await system.spawn(counter, {})];
    for (const actor of [one, stuck]) pids.push((await actor.describe()).pid);
    process.kill(pids[1]!, 'SIGSTOP');
  });
  for (const pid of pids) await waitForProcessEnd(pid);
  t.is(pids.length, 2);
});

test('a closed system spawns nothing', async (t) => {
  await withSystem(async ({ system, events }) => {
    await system.close();
    await t.throwsAsync(system.spawn(counter, {}), { instanceOf: BusClosedError });
    t.deepEqual(events, []);
  });
});

test('environment and niceness reach the process', async (t) => {
  await withSystem(async ({ system }) => {
    const actor = await system.spawn(
      counter,
      {},
      { environment: { CODISTILL_TEST: 'yes' }, niceness: 5 },
    );
    t.deepEqual(await actor.surroundings('CODISTILL_TEST'), { value: 'yes', niceness: 5 });
  });
});

test('spawn options are checked before anything starts', async (t) => {
  await withSystem(async ({ system, events }) => {
    const spawn = (options: object) => system.spawn(counter, {}, options);
    await t.throwsAsync(spawn({ maxRestart: 1 }), {
      instanceOf: TypeError,
      message: /no spawn option maxRestart; valid are: name, /,
    });
    await t.throwsAsync(spawn({ niceness: 30 }), { instanceOf: RangeError });
    await t.throwsAsync(spawn({ placement: 'anywhere' }), {
      instanceOf: TypeError,
      message: /'pack', 'spread' or an object of strategy, nodeId, beside, /,
    });
    await t.throwsAsync(spawn({ placement: { node: 'n1' } }), {
      instanceOf: TypeError,
      message: /no placement rule node; valid are: strategy, nodeId, /,
    });
    await t.throwsAsync(spawn({ resources: { gpus: 1 } }), {
      instanceOf: TypeError,
      message: /no resource gpus; valid are: cpu, gpu, memoryBytes, .*custom/,
    });
    await t.throwsAsync(spawn({ resources: { cpu: -1 } }), { instanceOf: RangeError });
    await t.throwsAsync(spawn({ resources: { custom: { camera: 1 } } }), {
      code: 'PLACEMENT',
      message: /0 camera free, 1 wanted/,
    });
    await t.throwsAsync(spawn({ placement: { nodeId: 'elsewhere' } }), {
      code: 'PLACEMENT',
      message: /no node elsewhere is known/,
    });
    await t.throwsAsync(spawn({ resources: { cpu: 4096 } }), {
      code: 'PLACEMENT',
      message: /cpu free, 4096 wanted/,
    });
    t.deepEqual(events, []);
  });
});

test('a listener that throws does not disturb supervision', async (t) => {
  const logged: string[] = [];
  await withSystem(
    async ({ system }) => {
      system.onActorEvent(() => {
        throw new Error('listener broke');
      });
      const actor = await system.spawn(counter, {}, restarting);
      t.is(await actor.dieOnce(), 'answered in life 2');
    },
    { log: ({ message }) => logged.push(message) },
  );
  t.regex(logged.join(), /listener of actor events failed: Error: listener broke/);
});
