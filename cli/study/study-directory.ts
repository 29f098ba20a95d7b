import { mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { DamagedDataError, UserInputError } from '../../errors.ts';
import { readIfThere, writeAtomically } from '../atomic-file.ts';
import { findRun, type RunRecord } from '../run/run-directory.ts';
import { takeRunLock } from '../run/run-lock.ts';
import type { Machine } from './machine.ts';
import type { PlannedRun, StudySettings } from './planned-runs.ts';
import { type Study, scales, studySchema } from './study.ts';

/** Content of `study.json`: what the study asks, and how. */
export interface StudyRecord {
  readonly format: 1;
  readonly study: Study;
  readonly settings: StudySettings;
  /** As typed. */
  readonly command: string;
  readonly machine: Machine;
  /** ISO 8601. */
  readonly created: string;
}

/** An open study; this process alone works in it until it is disposed. */
export interface StudyDirectory extends Disposable {
  /** Absolute. */
  readonly path: string;
  /** Undefined in a new one. */
  readonly earlier: StudyRecord | undefined;
  write(record: StudyRecord): void;
}

/** How a run stands that an earlier session, or this one, has worked on. */
export type RunState =
  | { readonly kind: 'new' }
  | { readonly kind: 'begun' }
  | { readonly kind: 'failed'; readonly cause: string }
  | { readonly kind: 'finished'; readonly record: RunRecord };

const recordSchema: v.GenericSchema<unknown, StudyRecord> = v.object({
  format: v.literal(1),
  study: studySchema,
  settings: v.object({
    scale: v.picklist(scales),
    arms: v.optional(v.array(v.string()), []),
    seeds: v.number(),
    set: v.array(v.string()),
    data: v.array(v.string()),
  }),
  command: v.string(),
  machine: v.object({
    cpu: v.string(),
    cores: v.number(),
    memoryBytes: v.number(),
    node: v.string(),
  }),
  created: v.string(),
});

/**
 * Opens `path`, made if absent; without one `studies/<name>-<time>` below `cwd`.
 * @throws UserInputError when there is something else in it, RunLockedError when another process is at work there.
 */
export function openStudyDirectory(where: {
  readonly path: string | undefined;
  readonly name: string;
  readonly cwd: string;
  readonly date: Date;
}): StudyDirectory {
  const { name, cwd, date } = where;
  const stamp = date
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .replace('T', '-');
  const path = resolve(cwd, where.path ?? join('studies', `${name}-${stamp}`));
  mkdirSync(path, { recursive: true });
  const file = join(path, 'study.json');
  const text = readIfThere(file);
  if (text === undefined && readdirSync(path).length > 0) {
    throw new UserInputError(
      `${path} isn't empty and holds no study. Give --run-dir a new directory, or that of a study.`,
    );
  }
  const lock = takeRunLock(path);
  return {
    path,
    earlier: text === undefined ? undefined : parseRecord(file, text),
    write: (record) => writeAtomically(file, `${JSON.stringify(record, undefined, 2)}\n`),
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  };
}

/** Content of `failure.json` beside a run that failed. */
const failureSchema = v.object({ cause: v.string() });

/**
 * What the run's directory says. @throws UserInputError when it holds a run with other options.
 */
export async function readRunState(run: PlannedRun): Promise<RunState> {
  const text = readIfThere(join(run.path, 'run.json'));
  const failure = readIfThere(failurePath(run));
  const failed = failure !== undefined && {
    kind: 'failed' as const,
    cause: v.parse(failureSchema, JSON.parse(failure)).cause,
  };
  // A process that was killed at its start leaves a directory without a record.
  if (text === undefined) {
    await rm(run.path, { recursive: true, force: true });
    return failed || { kind: 'new' };
  }
  const { record } = await findRun(run.path, '/');
  refuseOtherOptions(run, record);
  if (record.state === 'finished') return { kind: 'finished', record };
  return failed || { kind: 'begun' };
}

export function keepFailure(run: PlannedRun, cause: string): void {
  mkdirSync(join(run.path, '..'), { recursive: true });
  writeAtomically(failurePath(run), `${JSON.stringify({ cause })}\n`);
}

/** Of a finished run: its checkpoints and its prepared data are many times as large as all that a study reads. */
export async function removeLargeFiles(run: PlannedRun): Promise<void> {
  await rm(failurePath(run), { force: true });
  for (const folder of ['checkpoints', 'data']) {
    await rm(join(run.path, folder), { recursive: true, force: true });
  }
}

function failurePath({ path }: PlannedRun): string {
  return `${path}.failure.json`;
}

function refuseOtherOptions(run: PlannedRun, record: RunRecord): void {
  const { data: _, ...found } = record.options;
  const keys = Object.keys({ ...found, ...run.options }).filter(
    (key) => JSON.stringify(found[key]) !== JSON.stringify(run.options[key]),
  );
  if (keys.length === 0) return;
  const differences = keys.map(
    (key) => `${key} ${JSON.stringify(found[key])} there, ${JSON.stringify(run.options[key])} here`,
  );
  throw new UserInputError(
    `${run.path} is a run with other options (${differences.join('; ')}). ` +
      'Give the study the options that it began with, or --run-dir a new directory.',
  );
}

function parseRecord(path: string, text: string): StudyRecord {
  try {
    return v.parse(recordSchema, JSON.parse(text));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DamagedDataError(`${path} is damaged: ${reason}`, { cause });
  }
}
