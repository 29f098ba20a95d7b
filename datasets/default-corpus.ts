import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserInputError } from '../errors.ts';
import type { TextSource } from './text-sources.ts';

/**
 * One package must not make up most of the text; its files count in order of their paths up to this
 * size.
 */
const PACKAGE_BYTES_MAX = 3 << 20;

/**
 * Text that every installation has: documentation (`.md`) and type declarations (`.d.ts`) of the
 * packages that codistill depends on and of those that they depend on, by name and path. Left out
 * are optional packages, which differ between machines, and copies, since many packages declare the
 * same for two module systems. One lock file gives one corpus.
 * @throws UserInputError when the packages are not there, as in a bundle.
 */
export function listDefaultCorpus(from: string = ownDirectory()): readonly TextSource[] {
  const packages = new Map<string, string>();
  collectDependencies(from, packages);
  const names = [...packages.keys()].sort();
  const sources = names.flatMap((name) => filesOfPackage(packages.get(name)!));
  if (sources.length > 0) return sources;
  throw new UserInputError(
    `no installed packages with text were found from ${from} upwards: give text with --data PATH`,
  );
}

/**
 * The folder of codistill's own package.json, above this file in the sources and in what is
 * published.
 */
function ownDirectory(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  let directory = start;
  while (readPackageJson(directory)?.name !== 'codistill') {
    const parent = dirname(directory);
    if (parent === directory) {
      throw new UserInputError(`no package codistill around ${start}: give text with --data PATH`);
    }
    directory = parent;
  }
  return directory;
}

/** Adds the folders of the packages that the one in `directory` needs, by name and version. */
function collectDependencies(directory: string, packages: Map<string, string>): void {
  for (const name of Object.keys(readPackageJson(directory)?.dependencies ?? {}).sort()) {
    const dependency = findPackage(name, directory);
    if (dependency === undefined) continue;
    const key = `${name}@${readPackageJson(dependency)?.version}`;
    if (packages.has(key)) continue;
    packages.set(key, dependency);
    collectDependencies(dependency, packages);
  }
}

/**
 * As Node resolves it: the nearest node_modules that has the package. The real path, since pnpm and
 * Deno link packages in from a folder where each lies beside those that it needs.
 */
function findPackage(name: string, from: string): string | undefined {
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (readPackageJson(candidate) !== undefined) return realpathSync(candidate);
    if (dirname(directory) === directory) return undefined;
  }
}

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function readPackageJson(directory: string): PackageJson | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as PackageJson;
  } catch {
    return undefined;
  }
}

function filesOfPackage(directory: string): TextSource[] {
  let bytes = 0;
  const files = textFilesUnder(directory)
    .sort()
    .map((path) => ({ path, bytes: statSync(path).size }));
  return withoutCopies(files).filter((file) => {
    bytes += file.bytes;
    return bytes <= PACKAGE_BYTES_MAX;
  });
}

/** Of files with the same content only the first. */
function withoutCopies(files: readonly TextSource[]): readonly TextSource[] {
  const bySize = Map.groupBy(files, (file) => file.bytes);
  const seen = new Set<string>();
  return files.filter(({ path, bytes }) => {
    // Only files of one size can be copies of each other; the others needn't be read.
    if (bySize.get(bytes)!.length === 1) return true;
    const content = readFileSync(path, 'utf8');
    if (seen.has(content)) return false;
    seen.add(content);
    return true;
  });
}

function textFilesUnder(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    // Nested packages are listed as packages of their own.
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : textFilesUnder(path);
    return entry.isFile() && /\.(md|d\.[cm]?ts)$/.test(entry.name) ? [path] : [];
  });
}
