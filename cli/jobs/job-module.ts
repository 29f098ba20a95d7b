import { stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UserInputError } from '../../errors.ts';
import { isJob, type Job } from '../../runtime/index.ts';
import { exampleModule, listExamples, packageRoot } from '../package-info.ts';
import type { RunRecord } from '../run/run-directory.ts';

/** A job and where it came from, so that `resume` finds it again. */
export interface LoadedJob {
  readonly job: Job;
  readonly source: Omit<RunRecord['job'], 'name'>;
}

const moduleExtensions = new Set(['.ts', '.mts', '.js', '.mjs']);

/**
 * Loads the job of an example's name or of a file whose default export is one.
 * @throws UserInputError when there is none.
 */
export async function loadJob(nameOrFile: string, cwd: string): Promise<LoadedJob> {
  return moduleExtensions.has(extname(nameOrFile))
    ? await loadFile(resolve(cwd, nameOrFile))
    : await loadExample(nameOrFile);
}

/** Loads the job of a run directory again. @throws UserInputError */
export async function reloadJob(source: RunRecord['job']): Promise<LoadedJob> {
  const { example, file, name } = source;
  if (example !== undefined) return await loadExample(example);
  if (file !== undefined) return await loadFile(file);
  throw new UserInputError(`run.json of the job ${name} names neither an example nor a file.`);
}

/** Makes `codistill/…` resolve from here on, in this process and in those that it starts. */
export async function offerPackage(): Promise<void> {
  await import('../package-resolution.ts');
  // Deno's children get the package from its own configuration; it knows no such variable.
  if ('Deno' in globalThis) return;
  const hook = `--import=${new URL('../package-resolution.ts', import.meta.url).href}`;
  const before = process.env.NODE_OPTIONS ?? '';
  if (!before.includes(hook)) process.env.NODE_OPTIONS = `${before} ${hook}`.trim();
}

/** Checks that a module's file is there, and gives its URL. @throws UserInputError */
export async function moduleUrl(path: string): Promise<URL> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return pathToFileURL(path);
  throw new UserInputError(`There is no file ${path}.`);
}

async function loadExample(name: string): Promise<LoadedJob> {
  const examples = listExamples();
  if (!examples.includes(name)) {
    throw new UserInputError(
      `There is no example ${name}. Examples: ${examples.join(', ')}. ` +
        'For a job of your own give the path of its file: actorctl run ./my-job.ts',
    );
  }
  return { job: await importJob(exampleModule(name)), source: { example: name } };
}

async function loadFile(path: string): Promise<LoadedJob> {
  const url = await moduleUrl(path);
  if (!url.href.startsWith(packageRoot.href)) await offerPackage();
  return { job: await importJob(url), source: { file: path } };
}

async function importJob(url: URL): Promise<Job> {
  const imported = await importModule(url);
  const job: unknown = imported.default;
  if (isJob(job)) return job;
  throw new UserInputError(
    `${url.pathname} has no job as its default export; write: export default defineJob({ … })`,
  );
}

/** @throws UserInputError */
export async function importModule(url: URL): Promise<Record<string, unknown>> {
  try {
    return (await import(url.href)) as Record<string, unknown>;
  } catch (cause) {
    throw new UserInputError(`${url.pathname} can't be loaded: ${describeLoadError(cause)}`, {
      cause,
    });
  }
}

function describeLoadError(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return /outside a module/.test(reason)
    ? `${reason}. Name the file .mts, or set "type": "module" in the package.json beside it.`
    : reason;
}
