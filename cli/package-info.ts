import { readdirSync, readFileSync } from 'node:fs';

/** Folder of this package: the clone, or `node_modules/codistill` where it is installed. */
export const packageRoot: URL = new URL('../', import.meta.url);

/** `.ts` in the clone, `.js` in the published package. */
export const sourceExtension: string = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

export const packageVersion: string = readVersion();

/** Names that `actorctl run` takes, in alphabetical order. */
export function listExamples(): readonly string[] {
  return readdirSync(new URL('examples/', packageRoot))
    .filter((file) => file.endsWith(sourceExtension) && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -sourceExtension.length))
    .sort();
}

export function exampleModule(name: string): URL {
  return new URL(`examples/${name}${sourceExtension}`, packageRoot);
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8'));
  return (manifest as { readonly version: string }).version;
}
