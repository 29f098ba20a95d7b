import { readdir, readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import test from 'ava';

const root = new URL('../', import.meta.url);

/** Folder → folders that its files may import from; files at the root may be imported by all. */
const directions: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  compiler: [],
  datasets: [],
  training: ['compiler'],
  actors: ['training', 'compiler', 'datasets', 'runtime'],
  examples: ['actors', 'training', 'compiler', 'datasets', 'runtime'],
  cli: ['actors', 'training', 'compiler', 'datasets', 'runtime'],
};

/** Files at the root that every folder may import. */
const isShared = (target: string) =>
  ['errors.ts', 'file-cache.ts', 'loopback.ts', 'random.ts'].includes(target);

for (const [folder, allowed] of Object.entries(directions)) {
  test(`${folder} imports only from ${allowed.join(', ') || 'itself'} and what all share`, async (t) => {
    const imports = await listImports(folder);
    const isAllowed = ({ target }: Import) =>
      isShared(target) || [folder, ...allowed].includes(folderOf(target));
    t.deepEqual(imports.filter((entry) => !isAllowed(entry)).map(describe), []);
  });

  test(`${folder} enters other folders through their index`, async (t) => {
    const foreign = (await listImports(folder)).filter(
      ({ target }) => !isShared(target) && folderOf(target) !== folder,
    );
    const isEntry = ({ target }: Import) => target === `${folderOf(target)}/index.ts`;
    t.deepEqual(foreign.filter((entry) => !isEntry(entry)).map(describe), []);
  });
}

test('nothing is exported with a star', async (t) => {
  const files = (await Promise.all(Object.keys(directions).map(listSources))).flat();
  const texts = await Promise.all(files.map((file) => readFile(new URL(file, root), 'utf8')));
  t.deepEqual(
    files.filter((_, index) => /export \*/.test(texts[index] as string)),
    [],
  );
});

test('package.json and deno.json offer the same entry points', async (t) => {
  const read = async (name: string): Promise<Record<string, string>> =>
    JSON.parse(await readFile(new URL(name, root), 'utf8')).exports;
  const { './package.json': _, ...entries } = await read('package.json');
  t.deepEqual(await read('deno.json'), entries);
});

interface Import {
  readonly file: string;
  readonly specifier: string;
  /** Path from the root. */
  readonly target: string;
}

/** Imports between this repository's own files, types included. */
async function listImports(folder: string): Promise<readonly Import[]> {
  const imports: Import[] = [];
  for (const file of await listSources(folder)) {
    const text = await readFile(new URL(file, root), 'utf8');
    for (const [, specifier = ''] of text.matchAll(importPattern)) {
      const target = resolveOwn(file, specifier);
      if (target !== undefined) imports.push({ file, specifier, target });
    }
  }
  return imports;
}

function folderOf(path: string): string {
  return path.split('/')[0] as string;
}

function describe({ file, specifier }: Import): string {
  return `${file} imports ${specifier}`;
}

const importPattern = /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g;

function resolveOwn(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('codistill/')) {
    return `${specifier.slice('codistill/'.length)}/index.ts`;
  }
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined;
}

async function listSources(folder: string): Promise<readonly string[]> {
  const names = await readdir(new URL(`${folder}/`, root), { recursive: true });
  return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`);
}
