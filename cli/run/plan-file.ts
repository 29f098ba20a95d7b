import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { UserInputError } from '../../errors.ts';
import { moduleUrl } from '../jobs/job-module.ts';

/** A document that says what is to be run, and how. */
export interface PlanFile {
  /** NAME of an example or FILE of a job, if the plan says so. */
  readonly job: string | undefined;
  /** The job's options; those that it leaves out have their defaults. */
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * Reads a plan: JSON, YAML, or a module (.ts, .mts, .js, .mjs) whose default export it is.
 * @throws UserInputError that names the file and what is wrong.
 */
export async function readPlan(path: string, cwd: string): Promise<PlanFile> {
  const file = resolve(cwd, path);
  const value = await readers[extname(file)]?.(file);
  if (value === undefined) {
    throw new UserInputError(
      `${path} is no plan: it takes a file that ends in ${Object.keys(readers).join(', ')}.`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UserInputError(`${path} is no plan: it has to be an object of options.`);
  }
  const { job, ...options } = value as Record<string, unknown>;
  if (job === undefined || typeof job === 'string') return { job, options };
  throw new UserInputError(
    `job of ${path}: got ${JSON.stringify(job)}, allowed is the name of an example or a file.`,
  );
}

type Reader = (file: string) => Promise<unknown>;

const readers: Readonly<Record<string, Reader>> = {
  '.json': (file) => parse(file, (text) => JSON.parse(text)),
  '.yaml': readYaml,
  '.yml': readYaml,
  '.ts': readModule,
  '.mts': readModule,
  '.js': readModule,
  '.mjs': readModule,
};

async function readYaml(file: string): Promise<unknown> {
  const { parse: parseYaml } = await import('yaml');
  // No aliases: a small file could stand for a huge one.
  return await parse(file, (text) => parseYaml(text, { maxAliasCount: 0 }));
}

async function readModule(file: string): Promise<unknown> {
  const url = await moduleUrl(file);
  try {
    return ((await import(url.href)) as { readonly default?: unknown }).default ?? null;
  } catch (cause) {
    throw new UserInputError(`${file} can't be loaded: ${messageOf(cause)}`, { cause });
  }
}

async function parse(file: string, read: (text: string) => unknown): Promise<unknown> {
  try {
    return (read(await readFile(file, 'utf8')) as unknown) ?? null;
  } catch (cause) {
    throw new UserInputError(`The plan ${file} can't be read: ${messageOf(cause)}`, { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
