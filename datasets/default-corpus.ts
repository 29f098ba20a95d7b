import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserInputError } from '../errors.ts';
import { listTextSources, type TextSource } from './text-sources.ts';

/**
 * Text that every installation has: documentation (`.md`) and type declarations (`.d.ts`) of the packages that
 * codistill depends on, and of those that they depend on. One lock file gives one corpus.
 */
export async function listDefaultCorpus(): Promise<readonly TextSource[]> {
  const directories = new Set<string>();
  collectDependencies(packageDirectory(), directories);
  const paths = [...directories].sort().flatMap(textFilesUnder);
  if (paths.length === 0) {
    throw new UserInputError('the installed packages have no text: give some with --data PATH');
  }
  return await listTextSources(paths);
}

/** The folder of codistill's own package.json, above this file in the sources and in what is published. */
function packageDirectory(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (readManifest(directory)?.name !== 'codistill') {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('codistill runs outside of its package');
    directory = parent;
  }
  return directory;
}

function collectDependencies(directory: string, found: Set<string>): void {
  for (const name of Object.keys(readManifest(directory)?.dependencies ?? {}).sort()) {
    const dependency = findPackage(name, directory);
    // Optional packages are not on every machine; what isn't installed can't be read.
    if (dependency === undefined || found.has(dependency)) continue;
    found.add(dependency);
    collectDependencies(dependency, found);
  }
}

/** As Node resolves it: the nearest node_modules that has the package. */
function findPackage(name: string, from: string): string | undefined {
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (readManifest(candidate) !== undefined) return candidate;
    if (dirname(directory) === directory) return undefined;
  }
}

interface Manifest {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function readManifest(directory: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

function textFilesUnder(directory: string): string[] {
  const paths: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    // Nested packages are listed as packages of their own.
    if (entry.isDirectory() && entry.name !== 'node_modules') paths.push(...textFilesUnder(path));
    else if (entry.isFile() && /\.(md|d\.[cm]?ts)$/.test(entry.name)) paths.push(path);
  }
  return paths;
}
