import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Tokenizer } from '../../datasets/tokenizer.ts';
import { openTokenizer, writeTokenizer } from '../../datasets/tokenizer-file.ts';
import { DamagedDataError } from '../../errors.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('a tokenizer comes back from its file', async (t) => {
  const folder = await temporaryFolder(t);
  const tokenizer = new Tokenizer([
    [97, 98],
    [257, 99],
  ]);
  const written = await writeTokenizer(folder, 'tokenizer.json', tokenizer);
  const opened = await openTokenizer(join(folder, 'tokenizer.json'));
  t.is(opened.crc32, written.crc32);
  t.is(opened.vocabularySize, 259);
  t.deepEqual(opened.tokenizer.encode('abcab'), [258, 257]);
});

test('the file has one merge on each line', async (t) => {
  const folder = await temporaryFolder(t);
  await writeTokenizer(
    folder,
    'tokenizer.json',
    new Tokenizer([
      [97, 98],
      [257, 99],
    ]),
  );
  t.is(
    await readFile(join(folder, 'tokenizer.json'), 'utf8'),
    [
      '{',
      '  "format": "codistill-byte-pair-encoding",',
      '  "version": 1,',
      '  "merges": [',
      '    [97,98],',
      '    [257,99]',
      '  ]',
      '}',
      '',
    ].join('\n'),
  );
});

test('a tokenizer without merges has a file too', async (t) => {
  const folder = await temporaryFolder(t);
  await writeTokenizer(folder, 'tokenizer.json', new Tokenizer([]));
  t.is((await openTokenizer(join(folder, 'tokenizer.json'))).vocabularySize, 257);
});

test('a tokenizer file that is cut short, no tokenizer or not there is refused', async (t) => {
  const folder = await temporaryFolder(t, { 'other.json': '{"format":"other"}' });
  await writeTokenizer(folder, 'tokenizer.json', new Tokenizer([[97, 98]]));
  const path = join(folder, 'tokenizer.json');
  await writeFile(path, (await readFile(path)).subarray(0, 60));
  for (const file of ['tokenizer.json', 'other.json', 'none.json']) {
    const opening = openTokenizer(join(folder, file));
    const error = await t.throwsAsync(opening, { instanceOf: DamagedDataError }, file);
    t.true(error!.message.includes(file));
  }
});
