import test, { type ExecutionContext } from 'ava';
import { ActorDiedError, DeadlineError, InvalidInputError, RemoteError } from '../../errors.ts';
import { type Handle, type System, withCallOptions } from '../../runtime/index.ts';
import { type Ledger, ledger } from './ledger-actor.ts';

interface Source {
  readonly items: AsyncGenerator<number>;
  /** How many were asked for. */
  readonly made: () => number;
  /** Resolves when the generator has ended, early or not. */
  readonly ended: Promise<void>;
}

function createSource(count: number): Source {
  let made = 0;
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  async function* generate(): AsyncGenerator<number> {
    try {
      for (; made < count; made += 1) yield made;
    } finally {
      resolve();
    }
  }
  return { items: generate(), made: () => made, ended };
}

/** Registers what options, checks and streams of calls must do, wherever the actor lives. */
export function registerCallContract(
  name: string,
  open: () => Promise<System>,
  { isolated }: { readonly isolated: boolean },
): void {
  let system: System;
  test.before(async () => {
    system = await open();
  });
  test.after.always(() => system?.close());

  type Body = (t: ExecutionContext, actor: Handle<Ledger>) => Promise<void>;
  const ledgerTest = (title: string, body: Body) =>
    test(`${name}: ${title}`, async (t) => {
      const actor = await system.spawn(ledger, {}, { restartBackoffMs: 1 });
      await body(t, actor);
      await system.stop(actor);
    });

  ledgerTest('calls of one key act once and have one answer', async (t, actor) => {
    const keyed = withCallOptions(actor, { idempotencyKey: 'order 7' });
    t.is(await keyed.deposit({ amount: 5 }, 2), '10 crowns');
    t.is(await keyed.deposit({ amount: 5 }, 2), '10 crowns');
    const other = withCallOptions(actor, { idempotencyKey: 'order 8' });
    t.is(await other.deposit({ amount: 1 }, 1), '11 crowns');
    t.is(await actor.runs(), 2);
  });

  ledgerTest('calls of one key share the run that goes on', async (t, actor) => {
    const keyed = withCallOptions(actor, { idempotencyKey: 'k' });
    const gone = new AbortController();
    const first = withCallOptions(keyed, { signal: gone.signal }).held();
    const second = keyed.held();
    t.is(await actor.runs(), 1);
    // The one that began it leaves; the other still wants the answer.
    gone.abort(new Error('enough'));
    await t.throwsAsync(first, { message: 'enough' });
    await actor.release();
    t.is(await second, 1);
  });

  ledgerTest('a failure is not kept under its key', async (t, actor) => {
    const keyed = withCallOptions(actor, { idempotencyKey: 'k' });
    await t.throwsAsync(keyed.flaky(2, 'E_BUSY'), { instanceOf: RemoteError });
    t.is(await keyed.flaky(2, 'E_BUSY'), 2);
    t.is(await keyed.flaky(2, 'E_BUSY'), 2);
  });

  ledgerTest('listed errors are tried again, by code or class', async (t, actor) => {
    const backoffMs = 1;
    const byCode = { attempts: 3, backoffMs, errors: ['E_BUSY'] };
    t.is(await withCallOptions(actor, { retry: byCode }).flaky(3, 'E_BUSY'), 3);
    const byClass = { attempts: 2, backoffMs, errors: [RangeError] };
    t.is(await withCallOptions(actor, { retry: byClass }).flaky(5, 'E_OTHER'), 5);
    const unlisted = { attempts: 9, backoffMs, errors: ['E_BUSY', TypeError] };
    await t.throwsAsync(withCallOptions(actor, { retry: unlisted }).flaky(9, 'E_OTHER'));
    t.is(await actor.runs(), 6);
  });

  ledgerTest('only idempotent methods are tried again', async (t, actor) => {
    const retry = { attempts: 2, backoffMs: 1, errors: ['E_BUSY'] };
    await t.throwsAsync(withCallOptions(actor, { retry }).release(), {
      instanceOf: TypeError,
      message: /not declared idempotent/,
    });
  });

  ledgerTest('bad input is answered with all issues and where they are', async (t, actor) => {
    const loose = actor as unknown as { deposit(...args: unknown[]): Promise<string> };
    const error = await t.throwsAsync(loose.deposit({ amount: -1 }, 'twice'), {
      instanceOf: InvalidInputError,
      message: /deposit of actor .* can't take its input: at \[0\]\[amount\]: /,
    });
    t.deepEqual(
      error.issues.map(({ path }) => path),
      [[0, 'amount'], [1]],
    );
    await t.throwsAsync(loose.deposit({ amount: 1 }, 1, 'more'), { instanceOf: InvalidInputError });
    t.is(await actor.runs(), 0);
  });

  test(`${name}: options are checked before an actor is made`, async (t) => {
    const error = await t.throwsAsync(system.spawn(ledger, { unit: '' }), {
      instanceOf: InvalidInputError,
      message: /create of actor type test\/ledger/,
    });
    t.deepEqual(error.issues[0]?.path, ['unit']);
  });

  ledgerTest('a stream among the arguments is read to its end', async (t, actor) => {
    const { items, ended } = createSource(1000);
    t.is(await actor.total(items), 499_500);
    await ended;
  });

  ledgerTest('a stream runs ahead of the actor by its credit at most', async (t, actor) => {
    const { items, made, ended } = createSource(100_000);
    t.deepEqual(await actor.firstOf(items, 3), [0, 1, 2]);
    await ended;
    t.true(made() < 100);
  });

  ledgerTest(
    'a stream that nobody reads is not begun, or ended with its call',
    async (t, actor) => {
      const { items, made } = createSource(10);
      t.is(await actor.ignore(items), 'ignored');
      t.is(made(), 0);
    },
  );

  ledgerTest('an error of the source reaches the method that reads it', async (t, actor) => {
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      throw new RangeError('the source broke');
    }
    await t.throwsAsync(actor.total(broken()), { message: 'the source broke' });
  });

  ledgerTest('streams go both ways at once', async (t, actor) => {
    const { items, ended } = createSource(50);
    const doubled: number[] = [];
    for await (const number of actor.doubled(items)) doubled.push(number);
    t.is(doubled.at(-1), 98);
    t.is(doubled.length, 50);
    await ended;
    const { items: unread, ended: cancelled } = createSource(100_000);
    for await (const number of actor.doubled(unread)) if (number === 6) break;
    await cancelled;
  });

  ledgerTest('a deadline settles both ends of a stream', async (t, actor) => {
    let returned = false;
    const silent: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => {
          returned = true;
          return { done: true, value: undefined };
        },
      }),
    };
    // Long enough for the actor to begin reading, first and far away as it may be.
    await actor.runs();
    const hasty = withCallOptions(actor, { timeoutMs: 1_000 });
    await t.throwsAsync(hasty.total(silent), { instanceOf: DeadlineError });
    t.true(returned);
    // The mailbox is free again: the method that read has ended too.
    t.is(await actor.runs(), 1);
  });

  if (isolated) {
    ledgerTest(
      'the death of the reader ends the source, and nothing is sent again',
      async (t, actor) => {
        const { items, ended } = createSource(100_000);
        await t.throwsAsync(actor.dieReading(items), { instanceOf: ActorDiedError });
        await ended;
      },
    );
  }

  ledgerTest('a stream is ended by leaving its scope', async (t, actor) => {
    const { items, ended } = createSource(100_000);
    {
      await using doubled = actor.doubled(items);
      t.is((await doubled.next()).value, 0);
    }
    await ended;
  });
}
