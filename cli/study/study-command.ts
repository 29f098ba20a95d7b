import { extname, join, relative, resolve } from 'node:path';
import * as v from 'valibot';
import { UserInputError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { watchInterruptions } from '../interruption.ts';
import { moduleUrl } from '../jobs/job-module.ts';
import type { Output } from '../output/output.ts';
import { formatDuration } from '../output/quantity.ts';
import { formatTable } from '../output/table.ts';
import type { CommandContext } from '../program.ts';
import { type NatsFlags, parseNatsFlags } from '../server/nats-address.ts';
import { describeThisMachine } from './machine.ts';
import { planRuns, type StudySettings } from './planned-runs.ts';
import { studies } from './studies.ts';
import { type Scale, type Study, studySchema } from './study.ts';
import {
  openStudyDirectory,
  readRunState,
  type StudyDirectory,
  type StudyRecord,
} from './study-directory.ts';
import { listMainFigures, readingsOf, type StudyReport } from './study-page.ts';
import { StudyProgress } from './study-progress.ts';
import { writeStudyReport } from './study-report.ts';
import { doRuns, type RunLane } from './study-runs.ts';

export interface StudyFlags extends NatsFlags {
  readonly data?: readonly string[];
  readonly set?: readonly string[];
  readonly scale?: Scale;
  readonly arms?: readonly string[];
  readonly seeds?: number;
  readonly runDir?: string;
  readonly cores?: number;
  readonly keepCheckpoints?: boolean;
  readonly namespace?: readonly string[];
  readonly waitNodes: number;
}

/**
 * `actorctl study NAME|FILE`: does the study's runs, or those that an earlier session left to do, and writes the
 * report, also of a study that was stopped.
 */
export async function studyCommand(
  nameOrFile: string,
  flags: StudyFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const { cwd } = environment;
  const asked = await loadStudy(nameOrFile, cwd);
  using directory = openStudyDirectory({
    path: flags.runDir,
    name: asked.name,
    cwd,
    date: environment.date(),
  });
  const record = recordOf(asked, nameOrFile, flags, directory, environment.date());
  const { study, settings } = record;
  const runs = await planRuns(study, settings, { directory: directory.path, cwd });
  directory.write(record);
  output.message(`Study ${study.name} in ${directory.path}: ${study.question}`, {
    type: 'study',
    study: study.name,
    directory: directory.path,
    runs: runs.length,
    settings,
  });
  using watch = watchInterruptions({
    stdout: environment.stdout,
    onFirst: () =>
      output.message('Stopping: the runs drain and checkpoint. Again ends them at once.'),
    onSecond: () => process.exit(exitCodes.interrupted),
  });
  const progress = new StudyProgress(runs, flags.cores ?? record.machine.cores, environment.now);
  for (const run of runs) if ((await readRunState(run)).kind === 'finished') progress.skip(run);
  const show = (): void =>
    output.status(progress.describe(), {
      type: 'study-progress',
      finished: progress.finished,
      runs: runs.length,
      active: progress.active,
      leftMs: progress.leftMs ?? null,
    });
  await doRuns(runs, {
    limits: { cores: flags.cores ?? record.machine.cores, lanes: lanesOf(flags) },
    keepsCheckpoints: flags.keepCheckpoints ?? false,
    cwd,
    signal: watch.signal,
    watcher: {
      onStart(run) {
        progress.start(run);
        show();
      },
      onEvent(run, event) {
        if (progress.add(run, event)) show();
      },
      onEnd(run, outcome) {
        const durationMs = progress.end(run, outcome.kind);
        const cause = outcome.kind === 'failed' ? `: ${outcome.cause}` : '';
        output.message(
          `${run.arm}, seed ${run.seed}: ${outcome.kind} after ${formatDuration(durationMs)}${cause}`,
          {
            type: 'study-run',
            arm: run.arm,
            seed: run.seed,
            run: run.path,
            ...outcome,
            durationMs,
          },
        );
        show();
      },
    },
  });
  const analysis = await writeStudyReport({ directory: directory.path, record, runs });
  tellFigures(output, { record, analysis }, directory.path);
  const again = `actorctl study ${nameOrFile} --run-dir ${relative(cwd, directory.path) || '.'}`;
  if (watch.signal.aborted) {
    output.message(`Interrupted. To go on: ${again}`, { type: 'interrupted', resume: again });
    return exitCodes.interrupted;
  }
  const failed = analysis.runs.filter(({ failure }) => failure !== undefined).length;
  if (failed === 0) return exitCodes.ok;
  output.message(`${failed} of ${runs.length} runs failed. To try them again: ${again}`);
  return exitCodes.failed;
}

function tellFigures(output: Output, report: StudyReport, directory: string): void {
  const { columns, rows } = listMainFigures(report);
  const table = formatTable(
    columns.map((title, index) => ({
      title,
      align: index === 0 ? ('left' as const) : ('right' as const),
      text: (row: readonly string[]) => row[index] ?? '',
    })),
    rows,
  );
  const page = join(directory, 'report.html');
  output.message([table, ...readingsOf(report), `Report: ${page}`].join('\n'), {
    type: 'study-report',
    report: page,
    targetLosses: Object.fromEntries(report.analysis.targetLosses),
    summaries: report.analysis.summaries,
  });
}

/** `actorctl study` without a name. */
export function listStudies({ output }: CommandContext): ExitCode {
  const width = Math.max(...studies.map(({ name }) => name.length));
  for (const { name, question, arms } of studies) {
    const event = { type: 'study', study: name, question, arms: arms.map((arm) => arm.name) };
    output.message(`${name.padEnd(width)}  ${question}`, event);
  }
  return exitCodes.ok;
}

/** @throws UserInputError */
async function loadStudy(nameOrFile: string, cwd: string): Promise<Study> {
  if (extname(nameOrFile) === '') {
    const study = studies.find(({ name }) => name === nameOrFile);
    if (study !== undefined) return study;
    throw new UserInputError(
      `There is no study ${nameOrFile}. Studies: ${studies.map(({ name }) => name).join(', ')}. ` +
        'For one of your own give the path of its file.',
    );
  }
  const imported: unknown = await import((await moduleUrl(resolve(cwd, nameOrFile))).href);
  const found = v.safeParse(v.object({ default: studySchema }), imported);
  if (found.success) return found.output.default;
  const reasons = found.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
  throw new UserInputError(
    `${nameOrFile} has no study as its default export. ${reasons.join('; ')}`,
  );
}

/** A study that goes on keeps what it began with, but for what is given anew; its runs check that it fits. */
function recordOf(
  asked: Study,
  nameOrFile: string,
  flags: StudyFlags,
  { path, earlier }: StudyDirectory,
  date: Date,
): StudyRecord {
  if (earlier !== undefined && earlier.study.name !== asked.name) {
    throw new UserInputError(
      `${path} holds the study ${earlier.study.name}, not ${asked.name}; give --run-dir another directory.`,
    );
  }
  const before: StudySettings = earlier?.settings ?? {
    scale: 'small',
    arms: [],
    seeds: asked.seeds,
    set: [],
    data: [],
  };
  const settings: StudySettings = {
    scale: flags.scale ?? before.scale,
    arms: flags.arms ?? before.arms,
    seeds: flags.seeds ?? before.seeds,
    set: flags.set ?? before.set,
    data: flags.data ?? before.data,
  };
  return {
    format: 1,
    study: withArms(asked, settings.arms),
    settings,
    command: describeCommand(nameOrFile, asked, settings),
    machine: describeThisMachine(),
    created: earlier?.created ?? date.toISOString(),
  };
}

/** @throws UserInputError for an arm that the study doesn't have. */
function withArms(study: Study, names: readonly string[]): Study {
  const unknown = names.find((name) => study.arms.every((arm) => arm.name !== name));
  if (unknown !== undefined) {
    throw new UserInputError(
      `--arms ${unknown}: ${study.name} has the arms ${study.arms.map(({ name }) => name).join(', ')}.`,
    );
  }
  if (names.length === 0) return study;
  const { baseline, targetArm, choice } = study;
  const wanted = new Set([...names, baseline, ...(targetArm === undefined ? [] : [targetArm])]);
  const among = (choice?.among ?? []).filter((name) => wanted.has(name));
  return {
    ...study,
    arms: study.arms.filter(({ name }) => wanted.has(name)),
    choice: choice && among.length > 0 ? { ...choice, among } : undefined,
  };
}

function describeCommand(nameOrFile: string, study: Study, settings: StudySettings): string {
  const { scale, arms, seeds, set, data } = settings;
  return [
    `actorctl study ${nameOrFile}`,
    ...(scale === 'small' ? [] : [`--scale ${scale}`]),
    ...(arms.length === 0 ? [] : [`--arms ${arms.join(' ')}`]),
    ...(seeds === study.seeds ? [] : [`--seeds ${seeds}`]),
    ...(data.length === 0 ? [] : [`--data ${data.join(' ')}`]),
    ...(set.length === 0 ? [] : [`--set ${set.join(' ')}`]),
  ].join(' ');
}

/** One run at a time in each namespace of the server, as actors' names are taken once there. */
function lanesOf(flags: StudyFlags): readonly RunLane[] | undefined {
  // Refuses a wrong address before the first run does.
  if (parseNatsFlags(flags) === undefined) return undefined;
  const resume = [
    ...Object.entries(flags)
      .filter(([key]) => key.startsWith('nats'))
      .flatMap(([key, value]) => [`--${kebab(key)}`, String(value)]),
    ...['--wait-nodes', String(flags.waitNodes)],
  ];
  const { namespace = [] } = flags;
  if (namespace.length === 0) return [{ run: resume, resume }];
  return namespace.map((name) => ({ run: [...resume, '--namespace', name], resume }));
}

function kebab(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
