import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { DamagedDataError } from '../errors.ts';
import { writeAtomically } from './atomic-file.ts';
import { Tokenizer } from './tokenizer.ts';

/** Writes `directory/file`: JSON with one merge on each line. */
export async function writeTokenizer(
  directory: string,
  file: string,
  tokenizer: Tokenizer,
): Promise<{ file: string; crc32: number }> {
  const { merges, ...head } = tokenizer.toJSON();
  const lines = merges.map((merge) => `    ${JSON.stringify(merge)}`).join(',\n');
  const json = JSON.stringify({ ...head, merges: [] }, null, 2);
  const bytes = Buffer.from(`${json.replace('[]', () => `[\n${lines}\n  ]`)}\n`);
  await writeAtomically(join(directory, file), [bytes]);
  return { file, crc32: crc32(bytes) };
}

/** @throws DamagedDataError when there is no such file or it is not what was written. */
export async function openTokenizer(path: string): Promise<{
  readonly tokenizer: Tokenizer;
  readonly vocabularySize: number;
  readonly crc32: number;
}> {
  try {
    const bytes = await readFile(path);
    const tokenizer = Tokenizer.fromJSON(JSON.parse(bytes.toString()));
    return { tokenizer, vocabularySize: tokenizer.vocabularySize, crc32: crc32(bytes) };
  } catch (cause) {
    throw new DamagedDataError(`${path} is damaged: ${(cause as Error).message}`, { cause });
  }
}
