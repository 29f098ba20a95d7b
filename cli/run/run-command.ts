import { resolve } from 'node:path';
import { UserInputError } from '../../errors.ts';
import type { Job } from '../../runtime/index.ts';
import type { ExitCode } from '../exit-codes.ts';
import { type LoadedJob, loadJob } from '../jobs/job-module.ts';
import { type Assignment, parseAssignment, parseJobOptions } from '../jobs/job-options.ts';
import { listExamples, packageVersion } from '../package-info.ts';
import type { CommandContext } from '../program.ts';
import { describeServers, type NatsFlags, parseNatsFlags } from '../server/nats-address.ts';
import { runJob } from './job-run.ts';
import { type MetricsFlags, planMetrics } from './metrics-option.ts';
import { readPlan } from './plan-file.ts';
import { createRunDirectory, type RunRecord } from './run-directory.ts';

/** What says how a job is to be run. */
export interface OptionFlags {
  readonly plan?: string;
  readonly data?: readonly string[];
  readonly steps?: string;
  readonly replicas?: string;
  readonly seed?: string;
  readonly set?: readonly string[];
}

export interface RunFlags extends OptionFlags, NatsFlags, MetricsFlags {
  readonly namespace?: string;
  readonly runDir?: string;
  readonly waitNodes: number;
  readonly timeline?: string;
  /** Seconds. */
  readonly busTimeout: number;
}

/** `actorctl run NAME|FILE.ts`. @throws UserInputError before anything is written. */
export async function runCommand(
  nameOrFile: string | undefined,
  flags: RunFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const nats = parseNatsFlags(flags);
  const { job, source, options } = await planJob(nameOrFile, flags, environment.cwd);
  const record = createRecord({
    job,
    source,
    options,
    bus:
      nats === undefined
        ? { kind: 'local' }
        : { kind: 'nats', servers: describeServers(nats), namespace: flags.namespace },
    created: environment.date().toISOString(),
  });
  const { cwd } = environment;
  using directory = createRunDirectory({
    record,
    cwd,
    ...(flags.runDir !== undefined && { path: flags.runDir }),
  });
  return await runJob({
    job,
    options,
    directory,
    resumed: false,
    nats,
    namespace: flags.namespace,
    waitNodes: flags.waitNodes,
    busTimeoutMs: flags.busTimeout * 1000,
    metrics: planMetrics(flags),
    timeline: flags.timeline && resolve(environment.cwd, flags.timeline),
    output,
    environment,
  });
}

/** The job that was named, on the command line or in a plan, with its options. @throws UserInputError */
export async function planJob(
  nameOrFile: string | undefined,
  flags: OptionFlags,
  cwd: string,
): Promise<LoadedJob & { readonly options: Record<string, unknown> }> {
  const plan = flags.plan === undefined ? undefined : await readPlan(flags.plan, cwd);
  const name = nameOrFile ?? plan?.job;
  if (name === undefined) {
    throw new UserInputError(
      `Which job? Give the name of an example (${listExamples().join(', ')}) or the path of a file.`,
    );
  }
  const loaded = await loadJob(name, cwd);
  const parsed = parseJobOptions(loaded.job, listAssignments(flags), plan?.options);
  return { ...loaded, options: withAbsolutePaths(parsed, cwd) };
}

/** `--data`, `--steps`, `--replicas` and `--seed` are short for `--set` with the key of that name. */
function listAssignments(flags: OptionFlags): readonly Assignment[] {
  const shorthands = (['steps', 'replicas', 'seed'] as const).flatMap((key) => {
    const value = flags[key];
    return value === undefined ? [] : [{ key, values: [value], typed: `--${key} ${value}` }];
  });
  const data = flags.data?.length
    ? [{ key: 'data', values: flags.data, whole: true, typed: `--data ${flags.data.join(' ')}` }]
    : [];
  return [...data, ...shorthands, ...(flags.set ?? []).map(parseAssignment)];
}

/** A run may be resumed from another folder, so its data paths are kept as absolute ones. */
function withAbsolutePaths(options: Record<string, unknown>, cwd: string): Record<string, unknown> {
  const { data } = options;
  if (typeof data === 'string') return { ...options, data: resolve(cwd, data) };
  if (!Array.isArray(data)) return options;
  return {
    ...options,
    data: data.map((path: unknown) => (typeof path === 'string' ? resolve(cwd, path) : path)),
  };
}

function createRecord(run: {
  readonly job: Job;
  readonly source: LoadedJob['source'];
  readonly options: Record<string, unknown>;
  readonly bus: RunRecord['bus'];
  readonly created: string;
}): RunRecord {
  const seed = run.options.seed;
  return {
    format: 1,
    job: { name: run.job.name, ...run.source },
    options: run.options,
    seed: typeof seed === 'number' ? seed : null,
    bus: run.bus,
    versions: {
      codistill: packageVersion,
      [process.versions.deno === undefined ? 'node' : 'deno']:
        process.versions.deno ?? process.versions.node,
      platform: `${process.platform} ${process.arch}`,
    },
    created: run.created,
    state: 'running',
  };
}
