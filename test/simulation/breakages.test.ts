import { readFile } from 'node:fs/promises';
import test from 'ava';
import { breakages } from './breakages.ts';

for (const { name, file, from } of breakages) {
  test(`what prove.ts breaks is there once: ${name}`, async (t) => {
    const source = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
    t.is(source.split(from).length, 2, file);
  });
}
