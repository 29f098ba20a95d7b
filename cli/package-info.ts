import { readdirSync, readFileSync } from 'node:fs';

/** Folder of this package: the clone, or `node_modules/codistill` where it is installed. */
export const packageRoot: URL = new URL('../', import.meta.url);

/** `.ts` in the clone, `.js` in the published package. */
export const sourceExtension: string = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

export const packageVersion: string = readVersion();

const numberedFolder = /^\d\d-(.+)$/;

/** Names that `actorctl run` takes, in alphabetical order. */
export function listExamples(): readonly string[] {
  return readdirSync(new URL('examples/', packageRoot), { withFileTypes: true })
    .filter(({ name }) => numberedFolder.test(name) || name.endsWith(sourceExtension))
    .map(({ name }) =>
      name.endsWith(sourceExtension) ? name.slice(0, -sourceExtension.length) : name,
    )
    .sort();
}

/** `lm-codistill` is a file; `01-hello` is a folder, with a README beside its `hello.ts`. */
export function exampleModule(name: string): URL {
  const folder = numberedFolder.exec(name);
  const path = folder === null ? name : `${name}/${folder[1]}`;
  return new URL(`examples/${path}${sourceExtension}`, packageRoot);
}

/** What to do when this Node is older than the package needs; undefined when it isn't. */
export function nodeVersionAdvice(): string | undefined {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return undefined;
  return `Codistill needs Node 22.18 or later, this is ${process.versions.node}: install a newer one.`;
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8'));
  return (manifest as { readonly version: string }).version;
}
