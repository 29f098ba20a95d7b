import { existsSync } from 'node:fs';
import { readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { writeAtomically } from '../../datasets/atomic-file.ts';
import { UserInputError } from '../../errors.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('a file has all its parts and leaves nothing else', async (t) => {
  const folder = await temporaryFolder(t, { a: 'old' });
  await writeAtomically(join(folder, 'a'), [Buffer.from('new '), Buffer.from('content')]);
  t.is(await readFile(join(folder, 'a'), 'utf8'), 'new content');
  t.deepEqual(await readdir(folder), ['a']);
});

test('a full disk is said to be full, and the old file stays', async (t) => {
  if (!existsSync('/dev/full')) {
    t.log('not tried: this system has no /dev/full');
    t.pass();
    return;
  }
  const folder = await temporaryFolder(t, { a: 'old' });
  // What is written goes through this link to a device that is always full.
  await symlink('/dev/full', join(folder, `a.${process.pid}.tmp`));
  const writing = writeAtomically(join(folder, 'a'), [Buffer.from('new')]);
  const error = await t.throwsAsync(writing, { instanceOf: UserInputError });
  t.regex(error!.message, /can't write .*a: the disk is full\. Make room/);
  t.is(await readFile(join(folder, 'a'), 'utf8'), 'old');
  t.deepEqual(await readdir(folder), ['a']);
});

test('a folder that is not there is named', async (t) => {
  const path = join(await temporaryFolder(t), 'none', 'a');
  const error = await t.throwsAsync(writeAtomically(path, []), { instanceOf: UserInputError });
  t.true(error!.message.includes(path));
});
