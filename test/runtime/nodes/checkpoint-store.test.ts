import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { DamagedDataError } from '../../../errors.ts';
import {
  createFileCheckpointStore,
  createMemoryCheckpointStore,
} from '../../../runtime/nodes/checkpoint-store.ts';

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'codistill-checkpoints-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const state = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && new TextDecoder().decode(bytes);

async function damage(directory: string, name: string): Promise<void> {
  const bytes = await readFile(join(directory, name));
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(join(directory, name), bytes);
}

test('the memory store gives back what was saved, not what became of it', async (t) => {
  const store = createMemoryCheckpointStore();
  const bytes = state('before');
  await store.save('actor', bytes);
  bytes.fill(0);
  t.is(text(await store.load('actor')), 'before');
  t.is(await store.load('other'), undefined);
});

test('the file store gives back the last state, to another process too', async (t) => {
  await withDirectory(async (directory) => {
    const store = createFileCheckpointStore(directory);
    t.is(await store.load('a/b c'), undefined);
    for (const value of ['one', 'two', 'three']) await store.save('a/b c', state(value));
    await store.save('a', state('other'));
    t.is(text(await createFileCheckpointStore(directory).load('a/b c')), 'three');
    t.is((await readdir(directory)).length, 3, 'two states of the one, one of the other');
  });
});

test('saves that overlap end with the last one', async (t) => {
  await withDirectory(async (directory) => {
    const store = createFileCheckpointStore(directory);
    await Promise.all(['1', '2', '3', '4'].map((value) => store.save('a', state(value))));
    t.is(text(await store.load('a')), '4');
  });
});

test('a damaged newest file is passed over for the one before, and reported', async (t) => {
  await withDirectory(async (directory) => {
    const warnings: string[] = [];
    const store = createFileCheckpointStore(directory, { onWarning: (w) => warnings.push(w) });
    await store.save('a', state('older'));
    await store.save('a', state('newer'));
    await damage(directory, 'a.2.checkpoint');
    t.is(text(await store.load('a')), 'older');
    t.is(warnings.length, 1);
    t.regex(warnings[0]!, /a\.2\.checkpoint is damaged.*going on from a\.1\.checkpoint/);
  });
});

test('a damaged file is set aside and does not count as one of the two that are kept', async (t) => {
  await withDirectory(async (directory) => {
    const store = createFileCheckpointStore(directory, { onWarning: () => {} });
    await store.save('a', state('older'));
    await store.save('a', state('newer'));
    await damage(directory, 'a.2.checkpoint');
    await store.load('a');
    await store.save('a', state('newest'));
    t.deepEqual((await readdir(directory)).sort(), [
      'a.1.checkpoint',
      'a.2.checkpoint',
      'a.2.checkpoint.damaged',
    ]);
    await damage(directory, 'a.2.checkpoint');
    t.is(text(await store.load('a')), 'older');
  });
});

test('a state that is cut off or foreign is recognised', async (t) => {
  await withDirectory(async (directory) => {
    const store = createFileCheckpointStore(directory, { onWarning: () => {} });
    await store.save('a', state('older'));
    await store.save('a', state('newer'));
    const newest = join(directory, 'a.2.checkpoint');
    await writeFile(newest, (await readFile(newest)).subarray(0, 26));
    t.is(text(await store.load('a')), 'older');
    await writeFile(newest, 'something else entirely, but long enough');
    t.is(text(await store.load('a')), 'older');
  });
});

test('a loss of power at any byte of a save, and a change of any byte, leave the last good state', async (t) => {
  await withDirectory(async (directory) => {
    const store = createFileCheckpointStore(directory, { onWarning: () => {} });
    await store.save('a', state('older'));
    await store.save('a', state('newer'));
    const newest = join(directory, 'a.2.checkpoint');
    const good = await readFile(newest);
    const loaded = async (bytes: Uint8Array): Promise<string | undefined> => {
      await writeFile(newest, bytes);
      return text(await store.load('a'));
    };
    for (let at = 0; at < good.length; at++) {
      t.is(await loaded(good.subarray(0, at)), 'older', `cut off at ${at}`);
      // Before the rename it has another name, which doesn't count.
      await writeFile(`${newest}.part`, good.subarray(0, at));
      t.is(await loaded(good), 'newer', `written aside up to ${at}`);
      const zeroed = Uint8Array.from(good).fill(0, at);
      if (!good.equals(zeroed)) t.is(await loaded(zeroed), 'older', `zeros from ${at} on`);
      const changed = Uint8Array.from(good);
      changed[at]! ^= 1;
      // Four bytes of the header are of no use yet.
      const unused = at >= 12 && at < 16;
      t.is(await loaded(changed), unused ? 'newer' : 'older', `byte ${at} is another`);
    }
  });
});

test('when all states are damaged loading fails and names them', async (t) => {
  await withDirectory(async (directory) => {
    const store = createFileCheckpointStore(directory);
    await store.save('a', state('only'));
    await damage(directory, 'a.1.checkpoint');
    await t.throwsAsync(store.load('a'), {
      instanceOf: DamagedDataError,
      message: /a\.1\.checkpoint is damaged/,
    });
  });
});

test('a save that was cut off by a crash is ignored', async (t) => {
  await withDirectory(async (directory) => {
    const store = createFileCheckpointStore(directory);
    await store.save('a', state('good'));
    await writeFile(join(directory, 'a.2.checkpoint.part'), 'half');
    t.is(text(await store.load('a')), 'good');
    await store.save('a', state('better'));
    t.is(text(await store.load('a')), 'better');
  });
});

test('a save that fails leaves the last state and nothing else', async (t) => {
  await withDirectory(async (directory) => {
    const blocked = join(directory, 'file');
    await writeFile(blocked, '');
    const store = createFileCheckpointStore(join(blocked, 'inside'));
    await t.throwsAsync(store.save('a', state('x')), { code: 'ENOTDIR' });
    t.deepEqual(await readdir(directory), ['file']);
  });
});

test('a state that finds room for a part only is refused, and the one before stays', async (t) => {
  await withDirectory(async (directory) => {
    const module = new URL('../../../runtime/nodes/checkpoint-store.ts', import.meta.url).href;
    const script = `
      const { createFileCheckpointStore } = await import(${JSON.stringify(module)});
      const store = createFileCheckpointStore(${JSON.stringify(directory)});
      await store.save('a', new TextEncoder().encode('before'));
      await store.save('a', new Uint8Array(1_000_000)).then(
        () => console.log('saved'),
        ({ code }) => console.log(code),
      );`;
    // A limit on file sizes (32 or 64 KB) does what a full disk does: first it cuts a write short.
    const limited = `ulimit -f 64; exec "$0" --input-type=module --eval "$1"`;
    const shell = promisify(execFile)('sh', ['-c', limited, process.execPath, script]);
    t.is((await shell).stdout.trim(), 'EFBIG');
    t.is(text(await createFileCheckpointStore(directory).load('a')), 'before');
    t.is((await readdir(directory)).length, 1);
  });
});
