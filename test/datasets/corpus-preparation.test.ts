import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { type Corpus, openCorpus } from '../../datasets/corpus.ts';
import { type CorpusOptions, prepareCorpus } from '../../datasets/corpus-preparation.ts';
import type { CorpusProgress } from '../../datasets/corpus-text.ts';
import { listDefaultCorpus } from '../../datasets/default-corpus.ts';
import { openTokenShard } from '../../datasets/token-shard.ts';
import { END_OF_DOCUMENT } from '../../datasets/tokenizer.ts';
import { openTokenizer } from '../../datasets/tokenizer-file.ts';
import { UserInputError } from '../../errors.ts';
import { exampleText } from './example-text.ts';
import { temporaryFolder } from './temporary-folder.ts';

const small = { vocabularySize: 300, replicas: 2, heldOutFraction: 0.1 };

test('the parts hold all of the text, each document with its end', async (t) => {
  const folder = await temporaryFolder(t, {
    'text/a.txt': exampleText(2000),
    'text/b.jsonl': '{"text":"first line"}\n{"text":"second, ünïcode 🎲"}\n',
    'text/c.txt.gz': gzipSync('packed text\r\n'),
  });
  const corpus = await prepareIn(folder);
  const { tokenizer } = await openTokenizer(join(corpus.directory, 'tokenizer.json'));
  t.is(tokenizer.vocabularySize, corpus.vocabularySize);
  const documents = [exampleText(2000), 'first line', 'second, ünïcode 🎲', 'packed text\n'];
  t.is(corpus.bytes, Buffer.byteLength(documents.join('')));
  // Blocks are dealt out, so that only what is in them can be compared, not its order.
  const expected = documents.flatMap((text) => [...tokenizer.encode(text), END_OF_DOCUMENT]);
  t.deepEqual((await allTokens(corpus)).sort(), Uint16Array.from(expected).sort());
});

test('the counts of tokens are those of the files', async (t) => {
  const folder = await temporaryFolder(t, { 'text/a.txt': exampleText(3000) });
  const corpus = await prepareIn(folder);
  for (const part of [...corpus.shards, corpus.heldOut]) {
    t.is((await openTokenShard(part.path)).tokens.length, part.tokenCount);
  }
});

test('the same text and options give the same bytes', async (t) => {
  const folder = await temporaryFolder(t, {
    'text/a.txt': exampleText(2000),
    'text/b/c.txt': exampleText(500),
  });
  const first = await prepareIn(folder);
  const second = await prepareIn(folder, { directory: join(folder, 'again') });
  for (const file of await readdir(first.directory)) {
    const [one, other] = await Promise.all(
      [first, second].map(async ({ directory }) => await readFile(join(directory, file))),
    );
    t.deepEqual(one, other, file);
  }
});

test('a text has the same tokens packed or not', async (t) => {
  const text = exampleText(100_000);
  const folder = await temporaryFolder(t, {
    'plain/a.txt': text,
    'packed/a.txt.gz': gzipSync(text),
  });
  const [plain, packed] = await Promise.all(
    ['plain', 'packed'].map(
      async (name) =>
        await prepareIn(folder, {
          paths: [join(folder, name)],
          directory: join(folder, `${name}-corpus`),
        }),
    ),
  );
  t.deepEqual(await allTokens(plain!), await allTokens(packed!));
});

test('more than 65,536 pieces are kept in four bytes each', async (t) => {
  // Each word occurs twice, so that it becomes a piece.
  const word = (n: number) =>
    n.toString(36).replace(/\d/g, (digit) => 'ЖЗИЙКЛМНОП'[Number(digit)]!);
  const text = Array.from({ length: 90_000 }, (_, n) => word(n * 7919)).join(' ');
  const folder = await temporaryFolder(t, { 'text/a.txt': `${text}\n${text}` });
  const corpus = await prepareIn(folder, { vocabularySize: 70_000 });
  t.true(corpus.vocabularySize > 65_536);
  const { tokens } = await openTokenShard(corpus.shards[0]!.path);
  t.true(tokens instanceof Uint32Array);
  t.deepEqual(await openCorpus(corpus.directory), corpus);
});

test('the unigram loss lies between nothing and an even guess', async (t) => {
  const folder = await temporaryFolder(t, { 'text/a.txt': exampleText(3000) });
  const { unigramLoss, vocabularySize } = await prepareIn(folder);
  t.true(unigramLoss > 0 && unigramLoss < Math.log(vocabularySize), `${unigramLoss}`);
});

test('a text that is too small is refused with what would do', async (t) => {
  const folder = await temporaryFolder(t, { 'text/a.txt': exampleText(100) });
  const error = await t.throwsAsync(prepareIn(folder, { tokensMin: 1000 }), {
    instanceOf: UserInputError,
  });
  // A tenth is held out, and it needs 1,001 tokens.
  t.regex(error!.message, /the text is too small: .*more than 1000.*about 10010 tokens/);
  await t.throwsAsync(openCorpus(join(folder, 'corpus')), { message: /no prepared corpus/ });
});

test('a text of the size that the error asks for is large enough', async (t) => {
  const folder = await temporaryFolder(t, { 'text/a.txt': exampleText(100) });
  const error = await t.throwsAsync(prepareIn(folder, { tokensMin: 200 }));
  const needed = Number(/about (\d+) tokens/.exec(error!.message)![1]);
  const enough = await temporaryFolder(t, { 'text/a.txt': exampleText(needed) });
  const corpus = await prepareIn(enough, { tokensMin: 200 });
  t.true(corpus.heldOut.tokenCount > 200);
});

for (const [what, files] of [
  ['of an empty file', { 'text/a.txt': '' }],
  ['of white space', { 'text/a.txt': ' \n\t\n'.repeat(1000), 'text/b.txt': '\u00a0\u2003' }],
  ['of JSON Lines without a word', { 'text/a.jsonl': '{"text":""}\n\n' }],
] as const) {
  test(`a corpus ${what} is refused`, async (t) => {
    const folder = await temporaryFolder(t, files);
    const error = await t.throwsAsync(prepareIn(folder), { instanceOf: UserInputError });
    t.regex(error!.message, /there is no text in .*text/);
  });
}

test('a folder that cannot be made is refused', async (t) => {
  const folder = await temporaryFolder(t, { 'text/a.txt': exampleText(1000), file: '' });
  const error = await t.throwsAsync(prepareIn(folder, { directory: join(folder, 'file/corpus') }), {
    instanceOf: UserInputError,
  });
  t.regex(error!.message, /can't use the folder .*file\/corpus/);
});

for (const [name, value] of [
  ['vocabularySize', 256],
  ['vocabularySize', 1e9],
  ['vocabularySize', 300.5],
  ['replicas', 0],
  ['replicas', 1.5],
  ['heldOutFraction', 0],
  ['heldOutFraction', 1],
  ['heldOutFraction', Number.NaN],
] as const) {
  test(`a ${name} of ${value} is refused`, async (t) => {
    const preparing = prepareCorpus({ ...small, directory: '/not/made', [name]: value });
    await t.throwsAsync(preparing, { instanceOf: RangeError, message: new RegExp(name) });
  });
}

for (const phase of ['read', 'tokenizer', 'encode'] as const) {
  test(`an abort in the phase ${phase} ends it and leaves the corpus that was there`, async (t) => {
    const text = exampleText(1000);
    const folder = await temporaryFolder(t, { 'text/a.txt': text, 'text/b.txt': text });
    const before = await prepareIn(folder);
    const abort = new AbortController();
    const reports: CorpusProgress[] = [];
    const preparing = prepareIn(folder, {
      signal: abort.signal,
      onProgress: (progress) => {
        reports.push(progress);
        if (progress.phase === phase) abort.abort(new Error(`stop in ${phase}`));
      },
    });
    await t.throwsAsync(preparing, { message: `stop in ${phase}` });
    t.is(reports.filter((report) => report.phase === phase).length, 1);
    t.is(reports.at(-1)!.phase, phase);
    t.deepEqual(await openCorpus(before.directory), before);
  });
}

test('an abort leaves no corpus where none was', async (t) => {
  const folder = await temporaryFolder(t, { 'text/a.txt': exampleText(3000) });
  const signal = AbortSignal.abort(new Error('stop'));
  await t.throwsAsync(prepareIn(folder, { signal }), { message: 'stop' });
  t.deepEqual(await readdir(join(folder, 'corpus')), []);
});

test('a corpus may be prepared in the place of another', async (t) => {
  const folder = await temporaryFolder(t, { 'text/a.txt': exampleText(3000) });
  await prepareIn(folder, { replicas: 3 });
  const corpus = await prepareIn(folder, { vocabularySize: 280 });
  t.is(corpus.shards.length, 2);
  t.deepEqual(await openCorpus(corpus.directory), corpus);
});

test('progress goes through the phases, each up to its total', async (t) => {
  const folder = await temporaryFolder(t, {
    'text/a.txt': exampleText(3000),
    'text/b.txt': exampleText(30),
  });
  const reports: CorpusProgress[] = [];
  await prepareIn(folder, { onProgress: (progress) => reports.push(progress) });
  for (const phase of ['read', 'tokenizer', 'encode']) {
    const of = reports.filter((report) => report.phase === phase);
    const done = of.map((report) => report.done);
    t.deepEqual(
      done,
      done.toSorted((a, b) => a - b),
    );
    t.is(of.at(-1)!.done, of.at(-1)!.total, phase);
  }
  t.deepEqual([...new Set(reports.map(({ phase }) => phase))], ['read', 'tokenizer', 'encode']);
});

test('without paths the default corpus is prepared', async (t) => {
  const folder = await temporaryFolder(t);
  const corpus = await prepareCorpus({ ...small, vocabularySize: 512, directory: folder });
  const onDisk = listDefaultCorpus().reduce((sum, { bytes }) => sum + bytes, 0);
  t.log(`${corpus.bytes} bytes of text in ${onDisk} bytes of files`);
  t.is(corpus.vocabularySize, 512);
  // CRLF and byte order marks go, hardly anything else.
  t.true(corpus.bytes <= onDisk && corpus.bytes > 0.99 * onDisk);
});

test('Shakespeare is prepared from ../shared/data', async (t) => {
  const path = new URL('../../../shared/data/tinyshakespeare', import.meta.url).pathname;
  const present = await access(path).then(
    () => true,
    () => false,
  );
  if (!present) {
    t.log(`NOT TRIED: there is no ${path}`);
    t.pass();
    return;
  }
  const folder = await temporaryFolder(t);
  const corpus = await prepareCorpus({
    paths: [path],
    vocabularySize: 2048,
    replicas: 2,
    heldOutFraction: 0.05,
    tokensMin: 32 * 33,
    directory: folder,
  });
  t.is(corpus.vocabularySize, 2048);
  const tokenCount = [...corpus.shards, corpus.heldOut].reduce((n, part) => n + part.tokenCount, 0);
  // 2,048 pieces pack modern English prose into some 3.5 bytes each; verse has more line ends.
  const bytesPerToken = corpus.bytes / tokenCount;
  t.true(bytesPerToken > 2.5 && bytesPerToken < 4.5, `${bytesPerToken}`);
  t.true(Math.abs(corpus.heldOut.tokenCount / tokenCount - 0.05) < 0.005);
  t.true(corpus.unigramLoss > 5 && corpus.unigramLoss < Math.log(2048), `${corpus.unigramLoss}`);
});

/** Prepares what is in `folder/text` in `folder/corpus`. */
async function prepareIn(folder: string, options: Partial<CorpusOptions> = {}): Promise<Corpus> {
  return await prepareCorpus({
    ...small,
    paths: [join(folder, 'text')],
    directory: join(folder, 'corpus'),
    ...options,
  });
}

async function allTokens({ shards, heldOut }: Corpus): Promise<Uint16Array> {
  const parts = await Promise.all([...shards, heldOut].map(({ path }) => openTokenShard(path)));
  return Uint16Array.from(parts.flatMap(({ tokens }) => [...tokens]));
}
