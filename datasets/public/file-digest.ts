import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** What a file must be; whatever is absent is not checked. */
export interface ExpectedFile {
  readonly bytes?: number;
  readonly sha256?: string;
  readonly md5?: string;
}

/** What is wrong with the file at `path`; undefined when it is as expected. */
export async function checkFile(path: string, expected: ExpectedFile): Promise<string | undefined> {
  const found = await digestFile(path).catch(() => undefined);
  return found === undefined ? "it can't be read" : differenceOf(found, expected);
}

/** @throws when it can't be read */
export async function digestFile(path: string): Promise<Required<ExpectedFile>> {
  const [sha256, md5] = [createHash('sha256'), createHash('md5')];
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    sha256.update(chunk as Uint8Array);
    md5.update(chunk as Uint8Array);
    bytes += (chunk as Uint8Array).length;
  }
  return { bytes, sha256: sha256.digest('hex'), md5: md5.digest('hex') };
}

/** What differs first; undefined when nothing does. */
export function differenceOf(
  found: Required<ExpectedFile>,
  expected: ExpectedFile,
): string | undefined {
  for (const what of ['bytes', 'sha256', 'md5'] as const) {
    if (expected[what] !== undefined && expected[what] !== found[what]) {
      return `${what} is ${found[what]}, expected ${expected[what]}`;
    }
  }
  return undefined;
}
