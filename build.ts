// Makes dist/, the package as it is published: JavaScript and declarations, for Node strips no types from
// files below node_modules.
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';

/** Files that are read at run time and that the compiler doesn't know of. */
const assets = ['cli/report/report-charts.js', 'cli/report/report.css'];
const documents = [
  'README.md',
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  'LICENSE',
  'compiler/README.md',
  'datasets/README.md',
  'docs/engines.md',
];

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

const root = new URL('./', import.meta.url);
const dist = new URL('dist/', root);

await rm(dist, { recursive: true, force: true });
compile();
for (const file of assets) await cp(new URL(file, root), new URL(file, dist));
for (const file of documents) await cp(new URL(file, root), new URL(file, dist));
await copyPictures();
await copyExampleTexts();
await writeManifest();

function compile(): void {
  const tsc = new URL('node_modules/.bin/tsc', root);
  const { status } = spawnSync(tsc.pathname, ['-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** The README shows them. */
async function copyPictures(): Promise<void> {
  const from = new URL('docs/', root);
  const names = await readdir(from).catch(() => []);
  const pictures = names.filter((name) => name.endsWith('.png'));
  if (pictures.length > 0) await mkdir(new URL('docs/', dist), { recursive: true });
  for (const name of pictures) await cp(new URL(name, from), new URL(`docs/${name}`, dist));
}

/** Examples that are a folder explain themselves. */
async function copyExampleTexts(): Promise<void> {
  const entries = await readdir(new URL('examples/', root), { withFileTypes: true });
  for (const { name } of entries.filter((entry) => entry.isDirectory())) {
    const path = `examples/${name}/README.md`;
    await cp(new URL(path, root), new URL(path, dist));
  }
}

async function writeManifest(): Promise<void> {
  const manifest = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as Manifest;
  // What stays behind serves the repository alone: its checks, and the Node that it brings along.
  const { scripts, ava, devDependencies, optionalDependencies, ...published } = manifest;
  const result = {
    ...published,
    bin: mapValues(manifest.bin, (path) => compiled(path, '.js')),
    exports: mapValues(manifest.exports, (path) =>
      path.endsWith('.ts')
        ? { types: compiled(path, '.d.ts'), default: compiled(path, '.js') }
        : path,
    ),
  };
  await writeFile(new URL('package.json', dist), `${JSON.stringify(result, undefined, 2)}\n`);
}

function compiled(path: string, extension: string): string {
  return path.replace(/\.ts$/, extension);
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
