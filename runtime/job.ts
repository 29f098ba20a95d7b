import type * as v from 'valibot';
import type { Clock } from './clock.ts';
import type { System } from './system.ts';

/** What a job tells its user about: one line of JSON each, or a line of progress. */
export interface JobEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface JobContext<Options> {
  /** The job's own; whoever runs the job closes it. */
  readonly system: System;
  readonly options: Options;
  /** Exists and belongs to this run. */
  readonly runDirectory: string;
  /** The directory is that of an earlier run, which goes on. */
  readonly resumed: boolean;
  /** Aborts at Ctrl-C: drain, save and return. */
  readonly signal: AbortSignal;
  emit(event: JobEvent): void;
  /** For pauses and time limits: virtual in a simulation. */
  readonly clock: Clock;
  /** Milliseconds since the command started. */
  now(): number;
}

export type JobOptionsSchema =
  | v.ObjectSchema<v.ObjectEntries, v.ErrorMessage<v.ObjectIssue> | undefined>
  | v.StrictObjectSchema<v.ObjectEntries, v.ErrorMessage<v.StrictObjectIssue> | undefined>;

/** An option that can't be as it is beside the others. */
export interface OptionProblem {
  /** Such as `model.layers`. */
  readonly key: string;
  readonly given: unknown;
  /** In words. */
  readonly allowed: string;
}

/** What a job would do with its options, for people and programs. */
export interface JobExplanation {
  readonly tables: readonly {
    readonly title: string;
    readonly columns: readonly string[];
    readonly rows: readonly (readonly (string | number)[])[];
  }[];
  readonly notes: readonly string[];
  /** What is possible, but hardly meant. */
  readonly warnings?: readonly string[];
}

export interface Job<Schema extends JobOptionsSchema = JobOptionsSchema> {
  readonly [jobMark]: true;
  readonly name: string;
  readonly description: string;
  /** An object schema; the command line is checked against it. */
  readonly options: Schema;
  /** Options that don't go together; asked before anything begins. */
  check?(options: v.InferOutput<Schema>): readonly OptionProblem[];
  /** What it would do on so many nodes, if each replica computed so fast. */
  explain?(
    options: v.InferOutput<Schema>,
    surroundings: { readonly nodes: number; readonly gflops: number },
  ): JobExplanation | Promise<JobExplanation>;
  /** URLs of the modules whose actors the job spawns. */
  readonly modules: readonly string[];
  run(context: JobContext<v.InferOutput<Schema>>): Promise<void>;
}

const jobMark: unique symbol = Symbol.for('codistill.job');

/** Declares a job; a module's default export can be run by `actorctl run`. */
export function defineJob<Schema extends JobOptionsSchema>(
  declaration: Omit<Job<Schema>, typeof jobMark>,
): Job<Schema> {
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(declaration.name)) {
    throw new TypeError(
      `a job's name is up to 64 lower-case letters, digits and dashes, got "${declaration.name}"`,
    );
  }
  return { ...declaration, [jobMark]: true };
}

export function isJob(value: unknown): value is Job {
  return typeof value === 'object' && value !== null && jobMark in value;
}
