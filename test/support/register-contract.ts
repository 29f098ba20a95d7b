import test, { type ExecutionContext } from 'ava';
import {
  REGISTER_VALUE_BYTES_MAX,
  type Register,
  type RegisterChange,
  registerKey,
} from '../../runtime/registry/register.ts';

/** Opens registers of one namespace, as two processes would. */
export interface RegisterScene {
  open(): Promise<Register>;
}

const WAIT = { timeoutMs: 10_000 };

/** Registers what every register must do; `openScene` makes a namespace that one test uses. */
export function registerRegisterContract(
  name: string,
  openScene: (test: number) => Promise<RegisterScene>,
): void {
  let tests = 0;
  const registerTest = (
    title: string,
    body: (t: ExecutionContext, one: Register, other: Register) => Promise<void>,
  ) =>
    test(`${name} register: ${title}`, async (t) => {
      tests += 1;
      const scene = await openScene(tests);
      const [one, other] = [await scene.open(), await scene.open()];
      try {
        await body(t, one, other);
      } finally {
        await Promise.all([one.close(), other.close()]);
      }
    });

  registerTest('what one writes the other reads, with its revision', async (t, one, other) => {
    t.is(await other.get('names.a', WAIT), undefined);
    const value = { owner: 'n1', weights: new Float32Array([1, 2]) };
    const revision = await one.create('names.a', value, WAIT);
    t.deepEqual(await other.get('names.a', WAIT), { key: 'names.a', value, revision: revision! });
  });

  registerTest('of many that create one key, one does', async (t, one, other) => {
    const attempts = Array.from({ length: 20 }, (_, index) =>
      (index % 2 ? one : other).create('names.a', index, WAIT),
    );
    const revisions = await Promise.all(attempts);
    const winners = revisions.filter((revision) => revision !== undefined);
    t.is(winners.length, 1);
    const value = revisions.indexOf(winners[0]);
    t.deepEqual(await one.get('names.a', WAIT), { key: 'names.a', value, revision: winners[0]! });
  });

  registerTest('an update needs the revision that is there', async (t, one, other) => {
    const first = (await one.create('names.a', 1, WAIT))!;
    const second = (await other.update('names.a', 2, first, WAIT))!;
    t.true(second > first);
    t.is(await one.update('names.a', 3, first, WAIT), undefined);
    t.is((await one.get('names.a', WAIT))?.value, 2);
    t.is(await one.update('names.b', 1, first, WAIT), undefined, 'nothing is there');
  });

  registerTest('counting by compare-and-set loses nothing', async (t, one, other) => {
    await one.create('count', 0, WAIT);
    const countUp = async (register: Register): Promise<void> => {
      for (let counted = 0; counted < 10; ) {
        const { value, revision } = (await register.get('count', WAIT))!;
        const written = await register.update('count', (value as number) + 1, revision, WAIT);
        if (written !== undefined) counted += 1;
      }
    };
    await Promise.all([countUp(one), countUp(other), countUp(one)]);
    t.is((await other.get('count', WAIT))?.value, 30);
  });

  registerTest('a deleted key is gone, and can be created again later', async (t, one, other) => {
    const first = (await one.create('names.a', 1, WAIT))!;
    t.false(await other.delete('names.a', first + 1000, WAIT));
    t.true(await other.delete('names.a', first, WAIT));
    t.is(await one.get('names.a', WAIT), undefined);
    t.false(await one.delete('names.a', first, WAIT), 'it is deleted once');
    t.is(await one.update('names.a', 2, first, WAIT), undefined, 'a dead revision updates nothing');
    const again = (await one.create('names.a', 2, WAIT))!;
    t.true(again > first);
    t.is(await other.create('names.a', 3, WAIT), undefined);
  });

  registerTest('a list has what is below its prefix, by key', async (t, one, other) => {
    t.deepEqual(await one.list('names', WAIT), []);
    for (const key of ['names.b', 'names.a.x', 'namesake.a', 'names', 'nodes.a']) {
      await one.create(key, key, WAIT);
    }
    const gone = (await one.create('names.c', 1, WAIT))!;
    await one.delete('names.c', gone, WAIT);
    const names = await other.list('names', WAIT);
    t.deepEqual(
      names.map(({ key, value }) => [key, value]),
      [
        ['names.a.x', 'names.a.x'],
        ['names.b', 'names.b'],
      ],
    );
    t.is((await other.list('', WAIT)).length, 5);
  });

  registerTest('a watch tells what is there and then what changes', async (t, one, other) => {
    const a = (await one.create('names.a', 1, WAIT))!;
    await one.create('nodes.a', 1, WAIT);
    const changes = new Changes();
    const watch = await other.watch('names', changes.note, WAIT);
    await changes.until(({ key }) => key === 'names.a');
    const b = (await one.create('names.b', 2, WAIT))!;
    const b2 = (await other.update('names.b', 3, b, WAIT))!;
    await one.delete('names.a', a, WAIT);
    await changes.until(({ type }) => type === 'deleted');
    watch.unsubscribe();
    const told = changes.all.map((change) => ({ ...change, revision: 0 }));
    // The first of two quick changes of a key may be passed over.
    t.deepEqual(
      told.filter(({ type, value }) => !(type === 'set' && value === 2)),
      [
        { type: 'set', key: 'names.a', value: 1, revision: 0 },
        { type: 'set', key: 'names.b', value: 3, revision: 0 },
        { type: 'deleted', key: 'names.a', revision: 0 },
      ],
    );
    t.is(changes.all.findLast(({ key }) => key === 'names.b')?.revision, b2);
  });

  registerTest('a watch that was ended hears no more', async (t, one, other) => {
    const [ended, going] = [new Changes(), new Changes()];
    const watch = await other.watch('names', ended.note, WAIT);
    await other.watch('names', going.note, WAIT);
    watch.unsubscribe();
    await one.create('names.a', 1, WAIT);
    await going.until(({ key }) => key === 'names.a');
    t.deepEqual(ended.all, []);
  });

  registerTest('any text makes a word of a key', async (t, one, other) => {
    const key = registerKey('names', 'größe 1.5 > *');
    await one.create(key, 1, WAIT);
    t.deepEqual(
      (await other.list('names', WAIT)).map((entry) => entry.key),
      [key],
    );
  });

  registerTest('what is no key or too large a value is refused', async (t, one) => {
    await t.throwsAsync(one.get('a..b', WAIT), { instanceOf: TypeError });
    await t.throwsAsync(one.create('a.*', 1, WAIT), { instanceOf: TypeError });
    const large = new Uint8Array(REGISTER_VALUE_BYTES_MAX + 1);
    await t.throwsAsync(one.create('a', large, WAIT), {
      instanceOf: RangeError,
      message: /keeps values of up to 262144/,
    });
    const fits = new Uint8Array(REGISTER_VALUE_BYTES_MAX - 64).fill(7);
    t.not(await one.create('a', fits, WAIT), undefined);
    t.deepEqual((await one.get('a', WAIT))?.value, fits);
  });
}

/** Collects changes and lets a test wait for one. */
class Changes {
  readonly all: (RegisterChange & { readonly value?: unknown })[] = [];
  #wake = (): void => {};

  readonly note = (change: RegisterChange): void => {
    this.all.push(change);
    this.#wake();
  };

  async until(wanted: (change: RegisterChange) => boolean): Promise<void> {
    while (!this.all.some(wanted)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
