import { existsSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openCorpus } from '../../datasets/corpus.ts';
import { prepareCorpus } from '../../datasets/corpus-preparation.ts';
import { UserInputError } from '../../errors.ts';
import { exampleText } from './example-text.ts';
import { temporaryFolder } from './temporary-folder.ts';

const options = { vocabularySize: 300, replicas: 2, heldOutFraction: 0.1 };

test('a text that can not be used leaves the corpus that was there', async (t) => {
  const folder = await temporaryFolder(t, {
    'good.txt': exampleText(3000),
    'binary/a.txt': 'text with a \0 in it',
  });
  const directory = join(folder, 'corpus');
  const paths = [join(folder, 'good.txt')];
  const before = await prepareCorpus({ ...options, paths, directory });
  for (const failing of [
    { paths: [join(folder, 'binary')] },
    { paths: [join(folder, 'none')] },
    { paths, tokensMin: 1e6 },
  ]) {
    const preparing = prepareCorpus({ ...options, directory, ...failing });
    await t.throwsAsync(preparing, { instanceOf: UserInputError });
    t.deepEqual(await openCorpus(directory), before);
  }
});

test('a disk that fills is said to be full, and no corpus is left half written', async (t) => {
  if (!existsSync('/dev/full')) {
    t.log('NOT TRIED: this system has no /dev/full');
    t.pass();
    return;
  }
  const folder = await temporaryFolder(t, { 'good.txt': exampleText(3000) });
  // What is written to the second shard goes through this link to a device that is always full.
  await symlink('/dev/full', join(folder, `shard-2.tokens.${process.pid}.tmp`));
  const paths = [join(folder, 'good.txt')];
  const preparing = prepareCorpus({ ...options, paths, directory: folder });
  await t.throwsAsync(preparing, { instanceOf: UserInputError, message: /the disk is full/ });
  await t.throwsAsync(openCorpus(folder), { message: /has no prepared corpus/ });
});
