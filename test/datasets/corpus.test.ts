import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Corpus, openCorpus } from '../../datasets/corpus.ts';
import { prepareCorpus } from '../../datasets/corpus-preparation.ts';
import { writeTokenShard } from '../../datasets/token-shard.ts';
import { DamagedDataError, UserInputError } from '../../errors.ts';
import { exampleText } from './example-text.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('a prepared corpus is the same when it is opened', async (t) => {
  const corpus = await prepared(t);
  t.deepEqual(await openCorpus(corpus.directory), corpus);
});

test('a corpus may be moved to another folder', async (t) => {
  const corpus = await prepared(t);
  const moved = `${corpus.directory}-moved`;
  await rename(corpus.directory, moved);
  t.teardown(async () => await rm(moved, { recursive: true }));
  const opened = await openCorpus(moved);
  t.is(opened.heldOut.path, join(moved, 'held-out.tokens'));
  t.is(opened.unigramLoss, corpus.unigramLoss);
});

test('a folder without a corpus is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const error = await t.throwsAsync(openCorpus(folder), { message: /has no prepared corpus/ });
  t.true(error instanceof UserInputError);
});

const files = ['tokenizer.json', 'shard-1.tokens', 'shard-2.tokens', 'held-out.tokens'];
for (const file of files) {
  test(`a corpus with a changed byte in ${file} is refused`, async (t) => {
    const { directory } = await prepared(t);
    const bytes = await readFile(join(directory, file));
    const at = bytes.length - 10;
    // A digit stays a digit, so that the tokenizer is still JSON.
    bytes[at] = bytes[at]! ^ 1;
    await writeFile(join(directory, file), bytes);
    const error = await t.throwsAsync(openCorpus(directory), { instanceOf: DamagedDataError });
    t.true(error!.message.includes(file), error!.message);
  });

  test(`a corpus without ${file} is refused`, async (t) => {
    const { directory } = await prepared(t);
    await rm(join(directory, file));
    await t.throwsAsync(openCorpus(directory), { instanceOf: DamagedDataError });
  });
}

test('a corpus with the shard of another is refused, even one of the same size', async (t) => {
  const { directory, shards } = await prepared(t);
  await writeTokenShard(directory, 'shard-1.tokens', [new Uint16Array(shards[0]!.tokenCount)]);
  await t.throwsAsync(openCorpus(directory), {
    instanceOf: DamagedDataError,
    message: /shard-1\.tokens is not the one that corpus\.json names/,
  });
});

for (const [what, change] of [
  ['is cut off', (text: string) => text.slice(0, -20)],
  ['has another version', (text: string) => text.replace('"version": 1', '"version": 9')],
  ['lacks a field', (text: string) => text.replace('"unigramLoss"', '"other"')],
  ['leads out of its folder', (text: string) => text.replace('shard-1', '../shard-1')],
  ['counts other tokens', (text: string) => text.replace(/("tokenCount": )/, '$19')],
  ['counts other pieces', (text: string) => text.replace(/("vocabularySize": )/, '$19')],
] as const) {
  test(`a corpus whose manifest ${what} is refused`, async (t) => {
    const { directory } = await prepared(t);
    const path = join(directory, 'corpus.json');
    const text = await readFile(path, 'utf8');
    t.not(change(text), text);
    await writeFile(path, change(text));
    await t.throwsAsync(openCorpus(directory), { instanceOf: DamagedDataError });
  });
}

test('nothing but its files is in the folder of a corpus', async (t) => {
  const { directory } = await prepared(t);
  t.deepEqual((await readdir(directory)).sort(), [...files, 'corpus.json'].sort());
});

async function prepared(t: ExecutionContext): Promise<Corpus> {
  const folder = await temporaryFolder(t, { 'text.txt': exampleText(3000) });
  return await prepareCorpus({
    paths: [join(folder, 'text.txt')],
    vocabularySize: 300,
    replicas: 2,
    heldOutFraction: 0.1,
    directory: join(folder, 'corpus'),
  });
}
