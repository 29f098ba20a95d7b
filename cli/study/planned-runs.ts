import { join } from 'node:path';
import { UserInputError } from '../../errors.ts';
import { loadJob } from '../jobs/job-module.ts';
import { parseAssignment, parseJobOptions } from '../jobs/job-options.ts';
import type { Arm, OptionValue, Scale, Study } from './study.ts';

/** What the user chose of a study. */
export interface StudySettings {
  readonly scale: Scale;
  /** Those that are run; empty: all. */
  readonly arms: readonly string[];
  /** Runs of each arm. */
  readonly seeds: number;
  /** `key=value` for all arms, as typed; they go before what the study itself says. */
  readonly set: readonly string[];
  /** Text or tables to train on, as typed. */
  readonly data: readonly string[];
}

/** One run of a study: an arm with a seed. */
export interface PlannedRun {
  readonly arm: string;
  readonly seed: number;
  /** Its run directory; absolute. */
  readonly path: string;
  readonly job: string;
  /** As `actorctl run` gets them. */
  readonly args: readonly string[];
  /** That it keeps busy. */
  readonly cores: number;
  /** As the job's schema has them, defaults included; without `data`. */
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * All runs of a study, the first seed of every arm first: a study that is stopped early has whole pairs.
 * @throws UserInputError for an option that its job doesn't know, and for one that an arm sets itself.
 */
export async function planRuns(
  study: Study,
  settings: StudySettings,
  where: { readonly directory: string; readonly cwd: string },
): Promise<readonly PlannedRun[]> {
  refuseOptionsOfArms(study, settings);
  const arms = await Promise.all(study.arms.map((arm) => planArm(study, arm, settings, where)));
  const seeds = Array.from({ length: settings.seeds }, (_, index) => index + 1);
  return seeds.flatMap((seed) => arms.map((arm) => arm(seed)));
}

async function planArm(
  study: Study,
  arm: Arm,
  { scale, set, data }: StudySettings,
  { directory, cwd }: { readonly directory: string; readonly cwd: string },
): Promise<(seed: number) => PlannedRun> {
  const name = arm.job ?? study.job;
  const { job } = await loadJob(name, cwd);
  const given = new Set(set.map((text) => parseAssignment(text).key));
  const own = Object.entries({
    ...study.options,
    ...(scale === 'full' && study.full),
    ...arm.options,
  }).filter(([key]) => !given.has(key));
  return (seed) => {
    const assigned = [...own, ['seed', seed] as const];
    const texts = [...set, ...assigned.map(([key, value]) => `${key}=${optionText(value)}`)];
    const { data: _, ...options } = parseJobOptions(job, texts.map(parseAssignment));
    return {
      arm: arm.name,
      seed,
      path: join(directory, 'runs', arm.name, `seed-${seed}`),
      job: name,
      args: [
        ...(data.length > 0 ? ['--data', ...data] : []),
        ...texts.flatMap((text) => ['--set', text]),
      ],
      cores: coresOf(options),
      options,
    };
  };
}

/** What is the difference between the arms can't be the same in all of them. */
function refuseOptionsOfArms(study: Study, { set }: StudySettings): void {
  for (const text of set) {
    const { key } = parseAssignment(text);
    const arms = study.arms.filter(({ options }) => key in options).map(({ name }) => name);
    if (arms.length === 0 && key !== 'seed') continue;
    const who = key === 'seed' ? 'the study' : `the arms ${arms.join(', ')}`;
    throw new UserInputError(
      `--set ${text}: ${key} is set by ${who} of ${study.name}. ` +
        'Set another option, or write a study of your own (actorctl study --help).',
    );
  }
}

function optionText(value: OptionValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Each worker of a replica computes with its own threads; a job that has no replicas is taken for one process. */
function coresOf({ replicas, threads, workers }: Readonly<Record<string, unknown>>): number {
  const whole = (value: unknown) => (typeof value === 'number' && value >= 1 ? value : 1);
  const { count } = (workers ?? {}) as { readonly count?: unknown };
  return whole(replicas) * whole(count) * whole(threads);
}
