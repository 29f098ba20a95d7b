import { readFile } from 'node:fs/promises';
import test from 'ava';

const root = new URL('../', import.meta.url);

test('every guarantee in ARCHITECTURE names a test that there is', async (t) => {
  const text = await readFile(new URL('ARCHITECTURE.md', root), 'utf8');
  const [, after = ''] = text.split('| what | holds | how | under which fault | shown by |\n');
  const rows = after.slice(0, after.indexOf('\n\n')).split('\n').slice(1);
  t.true(rows.length > 20, `only ${rows.length} guarantees were found`);
  for (const row of rows) {
    const [, file = '', title = ''] = /\| `([^`]+)`: ([^|]+) \|$/.exec(row) ?? [];
    const source = await readFile(new URL(file, root), 'utf8').catch(() => '');
    t.true(title !== '' && source.includes(title), row);
  }
});
