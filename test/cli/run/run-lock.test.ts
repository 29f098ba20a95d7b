import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { RunLockedError, takeRunLock } from '../../../cli/run/run-lock.ts';
import { makeFolder } from '../actorctl-process.ts';

test('a lock names its process and goes away with it', async (t) => {
  await using folder = await makeFolder();
  const lock = takeRunLock(folder.path);
  t.is(await readFile(lock.path, 'utf8'), `${process.pid} ${hostname()}\n`);
  lock[Symbol.dispose]();
  t.false(existsSync(lock.path));
});

test('the lock of a process that lives is respected', async (t) => {
  await using folder = await makeFolder();
  const path = join(folder.path, 'lock');
  await writeFile(path, `${process.ppid} ${hostname()}\n`);
  const error = t.throws(() => takeRunLock(folder.path), { instanceOf: RunLockedError });
  t.regex(error.message, new RegExp(`Process ${process.ppid} on `));
  t.is(await readFile(path, 'utf8'), `${process.ppid} ${hostname()}\n`);
});

test('the lock of a process that is gone is taken over', async (t) => {
  await using folder = await makeFolder();
  const { pid } = spawnSync(process.execPath, ['--version']);
  await writeFile(join(folder.path, 'lock'), `${pid} ${hostname()}\n`);
  using lock = takeRunLock(folder.path);
  t.regex(await readFile(lock.path, 'utf8'), new RegExp(`^${process.pid} `));
});

test('the lock of another host is respected, whatever runs here', async (t) => {
  await using folder = await makeFolder();
  await writeFile(join(folder.path, 'lock'), '999999 some-other-host\n');
  t.throws(() => takeRunLock(folder.path), { message: /on some-other-host/ });
});

test('a lock without a process in it is damaged, not held', async (t) => {
  await using folder = await makeFolder();
  await writeFile(join(folder.path, 'lock'), '');
  using lock = takeRunLock(folder.path);
  t.true(existsSync(lock.path));
});
