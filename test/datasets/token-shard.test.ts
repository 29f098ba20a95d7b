import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Tokens } from '../../datasets/token-list.ts';
import { openTokenShard, writeTokenShard } from '../../datasets/token-shard.ts';
import { DamagedDataError } from '../../errors.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('a shard comes back as it was written, its blocks one after the other', async (t) => {
  const folder = await temporaryFolder(t);
  const narrow = [Uint16Array.of(1, 2, 65_535), Uint16Array.of(), Uint16Array.of(4)];
  const wide = [Uint32Array.of(1, 70_000), Uint32Array.of(3)];
  for (const blocks of [narrow, wide] as const) {
    const written = await writeTokenShard(folder, 'a.tokens', blocks);
    const shard = await openTokenShard(join(folder, 'a.tokens'));
    t.deepEqual(
      [...shard.tokens],
      [...blocks].flatMap((block) => [...block]),
    );
    t.is(shard.tokens.BYTES_PER_ELEMENT, blocks[0]!.BYTES_PER_ELEMENT);
    t.deepEqual(written, {
      file: 'a.tokens',
      crc32: shard.crc32,
      tokenCount: shard.tokens.length,
    });
  }
});

test('an empty shard comes back empty', async (t) => {
  const folder = await temporaryFolder(t);
  await writeTokenShard(folder, 'a.tokens', []);
  t.is((await openTokenShard(join(folder, 'a.tokens'))).tokens.length, 0);
});

test('the file has a header of 20 bytes and the tokens, little-endian', async (t) => {
  const folder = await temporaryFolder(t);
  await writeTokenShard(folder, 'a.tokens', [Uint16Array.of(0x0102, 3)]);
  const bytes = await readFile(join(folder, 'a.tokens'));
  t.deepEqual([...bytes.subarray(0, 4)], [...Buffer.from('CDTS')]);
  t.is(bytes.readUInt32LE(4), 1);
  t.is(bytes.readUInt32LE(8), 2);
  t.is(bytes.readUInt32LE(16), 2);
  t.deepEqual([...bytes.subarray(20)], [2, 1, 3, 0]);
});

test('each changed byte of a shard is noticed', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'a.tokens');
  await writeTokenShard(folder, 'a.tokens', [Uint16Array.of(1, 2, 3)]);
  const whole = await readFile(path);
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x10;
    await writeFile(path, damaged);
    await t.throwsAsync(openTokenShard(path), { instanceOf: DamagedDataError }, `byte ${at}`);
  }
});

test('a shard of any other length is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'a.tokens');
  await writeTokenShard(folder, 'a.tokens', [Uint16Array.of(1, 2, 3)]);
  const whole = await readFile(path);
  for (let length = 0; length < whole.length; length++) {
    await writeFile(path, whole.subarray(0, length));
    await t.throwsAsync(openTokenShard(path), { instanceOf: DamagedDataError }, `${length} bytes`);
  }
  await writeFile(path, Buffer.concat([whole, Buffer.of(0, 0)]));
  await t.throwsAsync(openTokenShard(path), { message: /8 bytes of tokens, expected 6/ });
});

test('a shard that is not there is refused by its path', async (t) => {
  const path = join(await temporaryFolder(t), 'none.tokens');
  const error = await t.throwsAsync(openTokenShard(path), { instanceOf: DamagedDataError });
  t.true(error!.message.includes(path));
});

test('large shards are views on what was read', async (t) => {
  const folder = await temporaryFolder(t);
  const tokens: Tokens = new Uint32Array(100_000).map((_, n) => n * 3);
  await writeTokenShard(folder, 'a.tokens', [tokens]);
  const shard = await openTokenShard(join(folder, 'a.tokens'));
  t.deepEqual(shard.tokens, tokens);
  t.is(shard.tokens.byteOffset, 20);
});
