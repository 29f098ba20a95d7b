import { symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { listDefaultCorpus } from '../../datasets/default-corpus.ts';
import { UserInputError } from '../../errors.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('the default corpus is the same each time', (t) => {
  t.deepEqual(listDefaultCorpus(), listDefaultCorpus());
});

test('the default corpus is documentation and type declarations of what codistill needs', (t) => {
  const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
  const files = listDefaultCorpus().map(({ path }) => relative(modules, path));
  t.true(files.every((file) => /\.(md|d\.[cm]?ts)$/.test(file)));
  const packages = new Set(files.map(packageOf));
  for (const used of ['apache-arrow', 'valibot', '@nats-io/nats-core', '@tensorflow/tfjs-core']) {
    t.true(packages.has(used), used);
  }
  for (const forDevelopment of ['typescript', 'ava', 'fast-check', 'deno', 'playwright-core']) {
    t.false(packages.has(forDevelopment), forDevelopment);
  }
});

test('the default corpus is large enough to train on', (t) => {
  const bytes = listDefaultCorpus().reduce((sum, file) => sum + file.bytes, 0);
  t.true(bytes > 4e6 && bytes < 12e6, `${bytes}`);
});

test('packages are found as Node finds them, each version once', async (t) => {
  const folder = await temporaryFolder(t, {
    'package.json': packageJson('app', ['left', 'right', 'absent']),
    'README.md': 'not a package that app needs',
    'node_modules/left/package.json': packageJson('left', ['shared']),
    'node_modules/left/README.md': 'left',
    'node_modules/left/src/index.ts': 'code',
    'node_modules/left/node_modules/shared/package.json': packageJson('shared', [], '2.0.0'),
    'node_modules/left/node_modules/shared/types.d.mts': 'inner',
    'node_modules/right/package.json': packageJson('right', ['shared', 'left']),
    'node_modules/right/docs/guide.md': 'right',
    'node_modules/shared/package.json': packageJson('shared', ['right']),
    'node_modules/shared/types.d.ts': 'outer',
    'node_modules/unused/package.json': packageJson('unused', []),
    'node_modules/unused/README.md': 'unused',
  });
  t.deepEqual(listed(folder), [
    'left/README.md',
    'right/docs/guide.md',
    'shared/types.d.ts',
    'left/node_modules/shared/types.d.mts',
  ]);
});

test('packages that are linked in are found with those beside them', async (t) => {
  const store = 'node_modules/.store/left/node_modules';
  const folder = await temporaryFolder(t, {
    'package.json': packageJson('app', ['left']),
    [`${store}/left/package.json`]: packageJson('left', ['right']),
    [`${store}/left/README.md`]: 'left',
    [`${store}/right/package.json`]: packageJson('right', []),
    [`${store}/right/README.md`]: 'right',
  });
  await symlink(join(folder, store, 'left'), join(folder, 'node_modules/left'));
  t.deepEqual(listed(folder).length, 2);
});

test('of files with the same content in a package only the first is taken', async (t) => {
  const folder = await temporaryFolder(t, {
    'package.json': packageJson('app', ['left']),
    'node_modules/left/package.json': packageJson('left', []),
    'node_modules/left/cjs/types.d.ts': 'export const a: 1',
    'node_modules/left/esm/types.d.ts': 'export const a: 1',
    'node_modules/left/esm/other.d.ts': 'export const b: 2',
  });
  t.deepEqual(listed(folder), ['left/cjs/types.d.ts', 'left/esm/other.d.ts']);
});

test('one package gives no more than its share', async (t) => {
  const folder = await temporaryFolder(t, {
    'package.json': packageJson('app', ['left']),
    'node_modules/left/package.json': packageJson('left', []),
    'node_modules/left/a.md': 'a'.repeat(2 << 20),
    'node_modules/left/b.md': 'b'.repeat(2 << 20),
  });
  t.deepEqual(listed(folder), ['left/a.md']);
});

test('where no package has text, another path is asked for', async (t) => {
  const folder = await temporaryFolder(t, { 'package.json': packageJson('app', []) });
  const error = t.throws(() => listDefaultCorpus(folder), { instanceOf: UserInputError });
  t.regex(error!.message, /give text with --data/);
});

function listed(folder: string): string[] {
  return listDefaultCorpus(folder).map(({ path }) => relative(join(folder, 'node_modules'), path));
}

function packageJson(name: string, dependencies: readonly string[], version = '1.0.0'): string {
  return JSON.stringify({
    name,
    version,
    dependencies: Object.fromEntries(dependencies.map((dependency) => [dependency, '*'])),
    optionalDependencies: { unused: '*' },
    devDependencies: { unused: '*' },
  });
}

/** The package that a file in node_modules belongs to. */
function packageOf(file: string): string {
  const inner = file.split('node_modules/').at(-1)!;
  return inner
    .split('/')
    .slice(0, inner.startsWith('@') ? 2 : 1)
    .join('/');
}
