import { type MeasureName, measures } from './measures.ts';
import type { PlannedRun } from './planned-runs.ts';
import { type RunFigures, readRunFigures } from './run-figures.ts';
import { type Estimate, estimateMean, estimateRatio, meanOf } from './statistics.ts';
import type { Study } from './study.ts';
import { readRunState } from './study-directory.ts';

/** A run of a study as its report has it. */
export interface StudyRun {
  readonly arm: string;
  readonly seed: number;
  /** Undefined while it isn't finished. */
  readonly figures: RunFigures | undefined;
  /** Why it failed, if it did. */
  readonly failure: string | undefined;
}

/** A measure of one run. */
export interface FigureRow {
  readonly arm: string;
  readonly seed: number;
  readonly measure: MeasureName;
  /** `null`: the run is finished, and has no such figure. */
  readonly value: number | null;
}

/** A measure of one arm over its seeds. */
export interface ArmSummary {
  readonly arm: string;
  readonly measure: MeasureName;
  /** Undefined when no run has the figure. */
  readonly estimate: Estimate | undefined;
  /** Arm less baseline, or arm through baseline, over the seeds that both have; undefined for the baseline. */
  readonly against: Estimate | undefined;
  /** Seeds whose run is finished and has no such figure. */
  readonly without: number;
}

export interface StudyAnalysis {
  readonly runs: readonly StudyRun[];
  readonly rows: readonly FigureRow[];
  readonly summaries: readonly ArmSummary[];
  readonly targetLoss: number | null;
}

export async function readStudyRuns(runs: readonly PlannedRun[]): Promise<readonly StudyRun[]> {
  return await Promise.all(
    runs.map(async (run) => {
      const state = await readRunState(run);
      const { arm, seed } = run;
      const figures =
        state.kind === 'finished' ? await readRunFigures(run.path, state.record) : undefined;
      return { arm, seed, figures, failure: state.kind === 'failed' ? state.cause : undefined };
    }),
  );
}

/** Arms in the study's order, its measures within each; seeds are paired by their number. */
export function analyseStudy(study: Study, runs: readonly StudyRun[]): StudyAnalysis {
  const targetLoss = targetOf(study, runs);
  const rows = runs.flatMap(({ arm, seed, figures }) =>
    figures === undefined
      ? []
      : study.measures.map((measure) => ({
          arm,
          seed,
          measure,
          value: measures[measure].of(figures, { targetLoss }),
        })),
  );
  const summaries = study.arms.flatMap(({ name }) =>
    study.measures.map((measure) => summarise(study, rows, name, measure)),
  );
  return { runs, rows, summaries, targetLoss };
}

function summarise(
  { baseline }: Study,
  rows: readonly FigureRow[],
  arm: string,
  measure: MeasureName,
): ArmSummary {
  const valuesOf = (wanted: string): ReadonlyMap<number, number | null> =>
    new Map(
      rows
        .filter((row) => row.arm === wanted && row.measure === measure)
        .map(({ seed, value }) => [seed, value]),
    );
  const own = valuesOf(arm);
  const known = [...own.values()].filter((value) => value !== null);
  const base = valuesOf(baseline);
  const pairs = [...own].flatMap(([seed, value]) => {
    const other = base.get(seed);
    return value === null || other == null ? [] : [{ value, other }];
  });
  return {
    arm,
    measure,
    estimate: known.length > 0 ? estimateMean(known) : undefined,
    against: arm === baseline ? undefined : compare(pairs, measure),
    without: own.size - known.length,
  };
}

function compare(
  pairs: readonly { readonly value: number; readonly other: number }[],
  measure: MeasureName,
): Estimate | undefined {
  if (measures[measure].comparison === 'difference') {
    return pairs.length > 0
      ? estimateMean(pairs.map(({ value, other }) => value - other))
      : undefined;
  }
  // Nothing is so many times nothing: an arm that exchanges no bytes has no ratio.
  const ratios = pairs.filter(({ value, other }) => value > 0 && other > 0);
  return ratios.length > 0
    ? estimateRatio(ratios.map(({ value, other }) => value / other))
    : undefined;
}

function targetOf({ targetArm }: Study, runs: readonly StudyRun[]): number | null {
  if (targetArm === undefined) return null;
  const losses = runs
    .filter(({ arm }) => arm === targetArm)
    .map(({ figures }) => figures?.loss)
    .filter((loss) => loss != null);
  return losses.length > 0 ? meanOf(losses) : null;
}
