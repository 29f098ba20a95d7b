import { chmod, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { listTextSources, readTextPieces } from '../../datasets/text-sources.ts';
import { UserInputError } from '../../errors.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('a folder gives its files and those of its folders in the order of their paths', async (t) => {
  const folder = await temporaryFolder(t, {
    'b.txt': 'two',
    'a/z.txt': 'one',
    'c/d/e.md': 'four',
    'b.txt.old': 'three',
  });
  const sources = await listTextSources([folder]);
  t.deepEqual(sources, [
    { path: join(folder, 'a/z.txt'), bytes: 3 },
    { path: join(folder, 'b.txt'), bytes: 3 },
    { path: join(folder, 'b.txt.old'), bytes: 5 },
    { path: join(folder, 'c/d/e.md'), bytes: 4 },
  ]);
});

test('the order does not depend on the order in which paths are given', async (t) => {
  const folder = await temporaryFolder(t, { 'a.txt': 'a', 'b.txt': 'b' });
  const paths = [join(folder, 'b.txt'), join(folder, 'a.txt')];
  t.deepEqual(await listTextSources(paths), await listTextSources([folder]));
});

test('a file that is given twice is read once', async (t) => {
  const folder = await temporaryFolder(t, { 'a.txt': 'a' });
  const twice = await listTextSources([folder, join(folder, 'a.txt'), `${folder}/./a.txt`]);
  t.is(twice.length, 1);
});

test('hidden files are left out', async (t) => {
  const folder = await temporaryFolder(t, { '.DS_Store': '\0', '.git/config': 'x', 'a.txt': 'a' });
  t.deepEqual(await listTextSources([folder]), [{ path: join(folder, 'a.txt'), bytes: 1 }]);
});

test('a folder that links to itself is listed once', async (t) => {
  const folder = await temporaryFolder(t, { 'a.txt': 'a' });
  await symlink(folder, join(folder, 'again'));
  t.deepEqual(await listTextSources([folder]), [{ path: join(folder, 'a.txt'), bytes: 1 }]);
});

for (const [what, files, name, message] of [
  ['a path that is not there', {}, 'none.txt', /none\.txt: there is no such file or folder/],
  ['a path through a file', { 'a.txt': 'a' }, 'a.txt/b', /a\.txt\/b: .*a file, not a folder/],
  ['a folder with only hidden files', { 'folder/.hidden': 'a' }, 'folder', /folder has no files/],
] as const) {
  test(`${what} is refused`, async (t) => {
    const folder = await temporaryFolder(t, files);
    const error = await t.throwsAsync(listTextSources([join(folder, name)]), { message });
    t.true(error instanceof UserInputError);
  });
}

test('an empty folder is refused', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'empty'));
  const error = await t.throwsAsync(listTextSources([join(folder, 'empty')]));
  t.true(error instanceof UserInputError);
  t.regex(error!.message, /empty has no files/);
});

test('links that lead in a circle are refused', async (t) => {
  const folder = await temporaryFolder(t);
  await symlink(join(folder, 'b'), join(folder, 'a'));
  await symlink(join(folder, 'a'), join(folder, 'b'));
  await t.throwsAsync(listTextSources([join(folder, 'a')]), { message: /lead in a circle/ });
});

test('a file that may not be read is refused', async (t) => {
  if (process.getuid?.() === 0) {
    t.log('not tried: root may read every file');
    t.pass();
    return;
  }
  const folder = await temporaryFolder(t, { 'secret.txt': 'a' });
  await chmod(join(folder, 'secret.txt'), 0);
  await t.throwsAsync(documents(join(folder, 'secret.txt')), { message: /not permitted/ });
});

test('a file that is gone after it was listed is refused', async (t) => {
  const pieces = readTextPieces({ path: '/gone/a.txt', bytes: 1 });
  await t.throwsAsync(pieces.next(), { instanceOf: UserInputError, message: /no such file/ });
});

test('byte order marks go and CRLF becomes LF', async (t) => {
  const folder = await temporaryFolder(t, { 'a.txt': '\uFEFFone\r\ntwo\rthree\r\n\r\n' });
  t.deepEqual(await documents(join(folder, 'a.txt')), ['one\ntwo\rthree\n\n']);
});

test('a packed file gives the text that was packed', async (t) => {
  const text = 'Straße, наука, 電卓 — 🎲\n'.repeat(40_000);
  const folder = await temporaryFolder(t, { 'a.txt.gz': gzipSync(text), 'a.txt': text });
  t.deepEqual(await documents(join(folder, 'a.txt.gz')), [text]);
  t.deepEqual(await pieceTexts(join(folder, 'a.txt.gz')), await pieceTexts(join(folder, 'a.txt')));
});

test('each line of JSON Lines is a document, packed or not', async (t) => {
  const lines = '{"text":"one\\ntwo"}\r\n\n{"id":7,"content":"three\\r\\n"}\n{"text":""}\n';
  const folder = await temporaryFolder(t, { 'a.jsonl': lines, 'b.jsonl.gz': gzipSync(lines) });
  t.deepEqual(await documents(join(folder, 'a.jsonl')), ['one\ntwo', 'three\n', '']);
  t.deepEqual(await documents(join(folder, 'b.jsonl.gz')), ['one\ntwo', 'three\n', '']);
});

test('a document longer than a piece arrives whole from JSON Lines', async (t) => {
  const long = 'words in a long line, '.repeat(120_000);
  const lines = [long, 'short'].map((text) => JSON.stringify({ text })).join('\n');
  const folder = await temporaryFolder(t, { 'a.jsonl': lines });
  t.deepEqual(await documents(join(folder, 'a.jsonl')), [long, 'short']);
});

for (const [what, line, message] of [
  ['that is no JSON', '{"text":', /a\.jsonl, line 2, is not JSON/],
  ['without text', '{"title":"x"}', /a\.jsonl, line 2, has no text: .*"text" or "content"/],
  ['whose text is a number', '{"text":5}', /line 2, has no text/],
  ['that is null', 'null', /line 2, has no text/],
] as const) {
  test(`a line of JSON Lines ${what} is refused by its number`, async (t) => {
    const folder = await temporaryFolder(t, { 'a.jsonl': `{"text":"good"}\n${line}\n` });
    const error = await t.throwsAsync(documents(join(folder, 'a.jsonl')), { message });
    t.true(error instanceof UserInputError);
  });
}

test('half a pair of surrogates in JSON becomes a replacement character', async (t) => {
  const folder = await temporaryFolder(t, { 'a.jsonl': '{"text":"a\\ud83cb"}' });
  t.deepEqual(await documents(join(folder, 'a.jsonl')), ['a\uFFFDb']);
});

for (const [what, bytes, message] of [
  ['with zero bytes', Buffer.from('text\0text'), /a is not text: it has zero bytes/],
  ['in UTF-16', Buffer.from('\uFEFFtext', 'utf16le'), /a is UTF-16 text: convert it/],
  ['of random bytes', noise(4096), /a is not (UTF-8 )?text/],
  ['in Latin-1', Buffer.from('née à côté é è ê '.repeat(20), 'latin1'), /a is not UTF-8 text/],
] as const) {
  test(`a file ${what} is refused`, async (t) => {
    const folder = await temporaryFolder(t, { a: bytes });
    const error = await t.throwsAsync(documents(join(folder, 'a')), { message });
    t.true(error instanceof UserInputError);
  });
}

test('a few garbled characters in a long text stay as replacement characters', async (t) => {
  const text = Buffer.from(`${'good text '.repeat(100)}caf\xe9`, 'latin1');
  const folder = await temporaryFolder(t, { 'a.txt': text });
  const [document] = await documents(join(folder, 'a.txt'));
  t.true(document?.endsWith('caf\uFFFD'));
});

test('a .gz file that is no gzip file is refused', async (t) => {
  const folder = await temporaryFolder(t, { 'a.gz': 'plain text' });
  await t.throwsAsync(documents(join(folder, 'a.gz')), { message: /no gzip file/ });
});

test('a .gz file that ends too early is refused', async (t) => {
  const packed = gzipSync(noise(100_000).toString('hex'));
  const folder = await temporaryFolder(t, { 'a.gz': packed.subarray(0, packed.length / 2) });
  const error = await t.throwsAsync(documents(join(folder, 'a.gz')), { message: /ends too early/ });
  t.true(error instanceof UserInputError);
});

test('a missing .gz file is refused like any other', async (t) => {
  const folder = await temporaryFolder(t);
  await t.throwsAsync(documents(join(folder, 'a.gz')), { message: /no such file/ });
});

test('an empty file is an empty document', async (t) => {
  const folder = await temporaryFolder(t, { 'a.txt': '', 'a.txt.gz': gzipSync('') });
  t.deepEqual(await documents(join(folder, 'a.txt')), ['']);
  t.deepEqual(await documents(join(folder, 'a.txt.gz')), ['']);
});

test('a long document comes in pieces that end with lines', async (t) => {
  const text = 'a line of a novel that goes on and on\r\n'.repeat(100_000);
  const folder = await temporaryFolder(t, { 'a.txt': text });
  const pieces = await pieceTexts(join(folder, 'a.txt'));
  t.true(pieces.length > 2);
  t.true(pieces.every((piece) => piece === '' || piece.endsWith('\n')));
  t.is(pieces.join(''), text.replaceAll('\r\n', '\n'));
});

test('a document without line ends is cut all the same, but no character is torn', async (t) => {
  const text = `a${'🎲'.repeat(1_200_000)}`;
  const folder = await temporaryFolder(t, { 'a.txt': text });
  const pieces = await pieceTexts(join(folder, 'a.txt'));
  t.true(pieces.length > 1);
  t.true(pieces.every((piece) => piece.isWellFormed()));
  t.is(pieces.join(''), text);
});

test('the bytes read grow up to the size of the file', async (t) => {
  const folder = await temporaryFolder(t, {
    'a.txt': 'some words and a line end\n'.repeat(150_000),
  });
  const source = (await listTextSources([folder]))[0]!;
  const read: number[] = [];
  for await (const piece of readTextPieces(source)) read.push(piece.bytesRead);
  t.deepEqual(
    read,
    read.toSorted((a, b) => a - b),
  );
  t.is(read.at(-1), source.bytes);
});

/** The text of each document in the file. */
async function documents(path: string): Promise<string[]> {
  const found: string[] = [];
  let text = '';
  for await (const piece of readTextPieces({ path, bytes: await sizeOf(path) })) {
    text += piece.text;
    if (!piece.last) continue;
    found.push(text);
    text = '';
  }
  return found;
}

async function pieceTexts(path: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readTextPieces({ path, bytes: await sizeOf(path) }))
    texts.push(text);
  return texts;
}

async function sizeOf(path: string): Promise<number> {
  return (await listTextSources([path]))[0]!.bytes;
}

/** Bytes of a fixed linear congruential generator, which no encoding of text gives. */
function noise(length: number): Buffer {
  let state = 1;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 24;
    }),
  );
}
