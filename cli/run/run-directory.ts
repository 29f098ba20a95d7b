import { mkdirSync, readdirSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { DamagedDataError, UserInputError } from '../../errors.ts';
import type { JobEvent } from '../../runtime/index.ts';
import { writeAtomically } from '../atomic-file.ts';
import { takeRunLock } from './run-lock.ts';

/** Content of `run.json`: all that `actorctl resume` needs to go on. Holds no credentials. */
export interface RunRecord {
  readonly format: 1;
  /** One of `example` and `file` (an absolute path) is there. */
  readonly job: {
    readonly name: string;
    readonly example?: string | undefined;
    readonly file?: string | undefined;
  };
  readonly options: Record<string, unknown>;
  readonly seed: number | null;
  readonly bus: {
    readonly kind: 'local' | 'nats';
    readonly servers?: string | undefined;
    readonly namespace?: string | undefined;
    /** Of the local bus, while the run goes on: where `actorctl actors` and the like look. */
    readonly socketPath?: string | undefined;
  };
  readonly versions: Record<string, string>;
  /** ISO 8601. */
  readonly created: string;
  readonly state: 'running' | 'interrupted' | 'failed' | 'finished';
  /** The job's result event, of a finished run. */
  readonly result?: JobEvent | undefined;
}

const runRecordSchema: v.GenericSchema<unknown, RunRecord> = v.object({
  format: v.literal(1),
  job: v.object({
    name: v.string(),
    example: v.optional(v.string()),
    file: v.optional(v.string()),
  }),
  options: v.record(v.string(), v.unknown()),
  seed: v.nullable(v.number()),
  bus: v.object({
    kind: v.picklist(['local', 'nats']),
    servers: v.optional(v.string()),
    namespace: v.optional(v.string()),
    socketPath: v.optional(v.string()),
  }),
  versions: v.record(v.string(), v.string()),
  created: v.string(),
  state: v.picklist(['running', 'interrupted', 'failed', 'finished']),
  result: v.optional(v.looseObject({ type: v.string() })),
});

/** An open run directory; this process alone writes into it until it is disposed. */
export interface RunDirectory extends Disposable {
  /** Absolute. */
  readonly path: string;
  readonly record: RunRecord;
  readonly checkpoints: string;
  /** Whether there is a state to go on from. */
  readonly hasCheckpoints: boolean;
  readonly events: string;
  readonly report: string;
  /** Replaces `run.json` atomically. */
  update(change: Partial<Pick<RunRecord, 'state' | 'result' | 'bus'>>): void;
}

/**
 * Makes `runs/<job>-<YYYYMMDD-HHMMSS>[-n]`, or the given directory, and locks it.
 * @throws UserInputError when the given directory isn't empty, or there can't be one.
 */
export function createRunDirectory(where: {
  readonly record: RunRecord;
  readonly cwd: string;
  readonly path?: string;
}): RunDirectory {
  const { record, cwd } = where;
  try {
    const path =
      where.path === undefined
        ? makeDatedDirectory(resolve(cwd, 'runs'), record)
        : makeGivenDirectory(resolve(cwd, where.path));
    const directory = lockDirectory(path, record);
    mkdirSync(directory.checkpoints);
    mkdirSync(join(path, 'data'));
    directory.update({});
    return directory;
  } catch (error) {
    const { code = '', path = where.path ?? 'runs' } = error as NodeJS.ErrnoException;
    const reason = impossible[code];
    if (reason === undefined) throw error;
    throw new UserInputError(
      `The run can't have its directory: ${path}: ${reason}. Give --run-dir one that can be written.`,
      { cause: error },
    );
  }
}

/** By the code of a file system's error, what no other try would change. */
const impossible: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EEXIST: 'it is a file and no directory',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no directory can be made there',
  ENOTDIR: 'it is a file, or in one, and no directory',
  EPERM: 'this user may not write there',
  EROFS: 'nothing can be written there',
};

/**
 * Opens the directory of an earlier run to go on in it.
 * @throws what `findRun` throws, RunLockedError when another process is at work there.
 */
export async function openRunDirectory(run: string, cwd: string): Promise<RunDirectory> {
  const { path, record } = await findRun(run, cwd);
  return lockDirectory(path, record);
}

/**
 * Reads what an earlier run or one that is going on says of itself; `run` is a path, or a name below `runs/`.
 * @throws UserInputError when there is none, DamagedDataError when `run.json` can't be used.
 */
export async function findRun(
  run: string,
  cwd: string,
): Promise<{ readonly path: string; readonly record: RunRecord }> {
  const candidates = [resolve(cwd, run), resolve(cwd, 'runs', run)];
  for (const path of candidates) {
    const text = await readFile(join(path, 'run.json'), 'utf8').catch(ignoreMissing);
    if (text !== undefined) return { path, record: parseRecord(path, text) };
  }
  for (const path of candidates) {
    if ((await stat(path).catch(ignoreMissing)) === undefined) continue;
    throw new DamagedDataError(
      `${path} has no run.json, so it isn't the directory of a run, or it is damaged.`,
    );
  }
  throw new UserInputError(`There is no run ${run}. ${describeRuns(resolve(cwd, 'runs'))}`);
}

function lockDirectory(path: string, opened: RunRecord): RunDirectory {
  const lock = takeRunLock(path);
  let record = opened;
  return {
    path,
    get record() {
      return record;
    },
    checkpoints: join(path, 'checkpoints'),
    get hasCheckpoints() {
      return readdirSync(join(path, 'checkpoints')).some((name) => name.endsWith('.checkpoint'));
    },
    events: join(path, 'events.jsonl'),
    report: join(path, 'report.html'),
    update(change) {
      record = { ...record, ...change };
      writeAtomically(join(path, 'run.json'), `${JSON.stringify(record, undefined, 2)}\n`);
    },
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  };
}

function makeDatedDirectory(parent: string, record: RunRecord): string {
  mkdirSync(parent, { recursive: true });
  const stamp = record.created
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .replace('T', '-');
  const name = `${record.job.name}-${stamp}`;
  for (let n = 1; n < 1000; n++) {
    const path = join(parent, n === 1 ? name : `${name}-${n}`);
    if (makeDirectory(path)) return path;
  }
  throw new UserInputError(`${parent} holds a thousand runs called ${name}; give --run-dir.`);
}

function makeGivenDirectory(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  if (makeDirectory(path) || readdirSync(path).length === 0) return path;
  throw new UserInputError(
    `${path} isn't empty. Give --run-dir a new directory, or go on with the run in it: ` +
      `actorctl resume ${path}`,
  );
}

function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function parseRecord(path: string, text: string): RunRecord {
  try {
    return v.parse(runRecordSchema, JSON.parse(text));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DamagedDataError(`${join(path, 'run.json')} is damaged: ${reason}`, { cause });
  }
}

function describeRuns(parent: string): string {
  let names: string[] = [];
  try {
    names = readdirSync(parent);
  } catch {
    return `${parent} doesn't exist.`;
  }
  if (names.length === 0) return `${parent} is empty.`;
  const newest = names.sort().slice(-10);
  return `Runs in ${parent}: ${newest.map((name) => basename(name)).join(', ')}.`;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
