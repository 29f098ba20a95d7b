import { type Half, halfOf } from './churn.ts';
import {
  type MeasureName,
  type MeasureText,
  measures,
  type PairMeasure,
  type RunMeasure,
} from './measures.ts';
import type { PlannedRun } from './planned-runs.ts';
import { type RunFigures, readRunFigures } from './run-figures.ts';
import {
  type Estimate,
  estimateMean,
  estimateRatio,
  exponential,
  jackknife,
  meanOf,
} from './statistics.ts';
import type { Choice, Study } from './study.ts';
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
  /** By seed: what the target arm came to. Empty without one. */
  readonly targetLosses: ReadonlyMap<number, number>;
  /** Undefined where the study makes none, or no candidate may be chosen. */
  readonly chosen?: ChosenArm | undefined;
}

export interface ChosenArm {
  readonly arm: string;
  /** On the rows that were chosen by; `undefined` in `against` for the baseline itself. */
  readonly least: ArmSummary;
}

export async function readStudyRuns(
  study: Study,
  runs: readonly PlannedRun[],
): Promise<readonly StudyRun[]> {
  return await Promise.all(
    runs.map(async (run) => {
      const state = await readRunState(run);
      const { arm, seed } = run;
      const counting = study.arms.find(({ name }) => name === arm) ?? {};
      const figures =
        state.kind === 'finished'
          ? await readRunFigures(run.path, state.record, counting)
          : undefined;
      return { arm, seed, figures, failure: state.kind === 'failed' ? state.cause : undefined };
    }),
  );
}

/** Arms in the study's order, its measures within each; seeds are paired by their number. */
export function analyseStudy(study: Study, runs: readonly StudyRun[]): StudyAnalysis {
  const { choice } = study;
  if (choice === undefined) return analyseRuns(study, runs);
  const { summaries } = analyseRuns(study, onHalf(runs, 'choosing'));
  return {
    ...analyseRuns(study, onHalf(runs, 'judging')),
    chosen: chooseArm(study.baseline, choice, summaries),
  };
}

function onHalf(runs: readonly StudyRun[], half: Half): readonly StudyRun[] {
  return runs.map((run) =>
    run.figures?.served
      ? { ...run, figures: { ...run.figures, served: halfOf(run.figures.served, half) } }
      : run,
  );
}

function chooseArm(
  baseline: string,
  { among, least, notAbove }: Choice,
  summaries: readonly ArmSummary[],
): ChosenArm | undefined {
  const find = (arm: string, measure: MeasureName) =>
    summaries.find((summary) => summary.arm === arm && summary.measure === measure);
  const meanIn = (arm: string, measure: MeasureName) =>
    find(arm, measure)?.estimate?.mean ?? Number.POSITIVE_INFINITY;
  const limit = meanIn(baseline, notAbove);
  const [arm] = among
    .filter((name) => meanIn(name, notAbove) <= limit && Number.isFinite(meanIn(name, least)))
    .sort((one, other) => meanIn(one, least) - meanIn(other, least));
  const summary = arm === undefined ? undefined : find(arm, least);
  return summary && { arm: summary.arm, least: summary };
}

function analyseRuns(study: Study, runs: readonly StudyRun[]): StudyAnalysis {
  const targetLosses = targetsOf(study, runs);
  const tables = study.measures.map((name) => {
    const measure = measures[name];
    return 'of' in measure
      ? { name, measure, values: valuesOfRuns(measure, runs, targetLosses) }
      : { name, measure, pairs: pairsOfRuns(measure, study, runs) };
  });
  const rows = runs.flatMap(({ arm, seed, figures }) =>
    figures === undefined
      ? []
      : tables.map((table) => ({
          arm,
          seed,
          measure: table.name,
          value:
            table.values === undefined
              ? meanWithOthers(table.pairs.get(arm), seed)
              : (table.values.get(arm)?.get(seed) ?? null),
        })),
  );
  const summaries = study.arms.flatMap(({ name: arm }) =>
    tables.map((table) => {
      const known = rows.filter((row) => row.arm === arm && row.measure === table.name);
      return {
        arm,
        measure: table.name,
        without: known.filter(({ value }) => value === null).length,
        ...(table.values === undefined
          ? summarisePairs(table.pairs, arm, study.baseline)
          : summariseRuns(table.values, arm, study.baseline, table.measure.comparison)),
      };
    }),
  );
  return { runs, rows, summaries, targetLosses };
}

/** By arm and seed. */
type RunValues = ReadonlyMap<string, ReadonlyMap<number, number | null>>;

function valuesOfRuns(
  measure: RunMeasure,
  runs: readonly StudyRun[],
  targetLosses: ReadonlyMap<number, number>,
): RunValues {
  const values = new Map<string, Map<number, number | null>>();
  for (const { arm, seed, figures } of runs) {
    if (figures === undefined) continue;
    const own = values.get(arm) ?? new Map<number, number | null>();
    values.set(
      arm,
      own.set(seed, measure.of(figures, { targetLoss: targetLosses.get(seed) ?? null })),
    );
  }
  return values;
}

function summariseRuns(
  values: RunValues,
  arm: string,
  baseline: string,
  comparison: MeasureText['comparison'],
): Pick<ArmSummary, 'estimate' | 'against'> {
  const own = values.get(arm) ?? new Map<number, number | null>();
  const known = [...own.values()].filter((value) => value !== null);
  const pairs = [...own].flatMap(([seed, value]) => {
    const other = values.get(baseline)?.get(seed);
    return value === null || other == null ? [] : [{ value, other }];
  });
  return {
    estimate: known.length > 0 ? estimateMean(known) : undefined,
    against: arm === baseline ? undefined : compare(pairs, comparison),
  };
}

/** By arm; within one `between` is symmetric. */
type PairValues = ReadonlyMap<string, ArmPairs>;
interface ArmPairs {
  readonly seeds: readonly number[];
  between(one: number, other: number): number;
}

function pairsOfRuns(measure: PairMeasure, study: Study, runs: readonly StudyRun[]): PairValues {
  const values = new Map<string, ArmPairs>();
  for (const { name } of study.arms) {
    const own = runs.flatMap(({ arm, seed, figures }) =>
      arm === name && figures !== undefined && measure.ofPair(figures, figures) !== null
        ? [{ seed, figures }]
        : [],
    );
    const table = new Map<string, number>();
    for (const [index, one] of own.entries()) {
      for (const other of own.slice(index + 1)) {
        table.set(
          `${one.seed} ${other.seed}`,
          measure.ofPair(one.figures, other.figures) ?? Number.NaN,
        );
      }
    }
    values.set(name, {
      seeds: own.map(({ seed }) => seed),
      between: (one, other) =>
        table.get(`${one} ${other}`) ?? table.get(`${other} ${one}`) ?? Number.NaN,
    });
  }
  return values;
}

/** Over all pairs; a retraining is in several of them, hence the jackknife. */
function summarisePairs(
  values: PairValues,
  arm: string,
  baseline: string,
): Pick<ArmSummary, 'estimate' | 'against'> {
  const own = values.get(arm);
  const base = values.get(baseline);
  const seeds = own?.seeds ?? [];
  const common = seeds.filter((seed) => base?.seeds.includes(seed));
  const logRatio = (kept: readonly number[]): number => {
    const chosen = kept.map((index) => common[index] as number);
    return Math.log(meanOfPairs(own, chosen) / meanOfPairs(base, chosen));
  };
  return {
    estimate:
      seeds.length < 2
        ? undefined
        : jackknife(seeds.length, (kept) =>
            meanOfPairs(
              own,
              kept.map((index) => seeds[index]!),
            ),
          ),
    against:
      arm === baseline || common.length < 2
        ? undefined
        : knownRatio(jackknife(common.length, logRatio)),
  };
}

/** Undefined where nothing was compared with nothing: its logarithm is infinite, or none. */
function knownRatio(logarithm: Estimate): Estimate | undefined {
  const ends = [logarithm.mean, ...(logarithm.interval ?? [])];
  return ends.every(Number.isFinite) ? exponential(logarithm) : undefined;
}

function meanOfPairs(pairs: ArmPairs | undefined, seeds: readonly number[]): number {
  return meanOf(
    seeds.flatMap((one, index) =>
      seeds.slice(index + 1).map((other) => pairs?.between(one, other) ?? Number.NaN),
    ),
  );
}

/** The mean over the pairs that a run is in; `null` when it is in none. */
function meanWithOthers(pairs: ArmPairs | undefined, seed: number): number | null {
  const others = pairs?.seeds.filter((other) => other !== seed) ?? [];
  if (pairs === undefined || !pairs.seeds.includes(seed) || others.length === 0) return null;
  return meanOf(others.map((other) => pairs.between(seed, other)));
}

function compare(
  pairs: readonly { readonly value: number; readonly other: number }[],
  comparison: MeasureText['comparison'],
): Estimate | undefined {
  if (comparison === 'difference') {
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

function targetsOf({ targetArm }: Study, runs: readonly StudyRun[]): ReadonlyMap<number, number> {
  return new Map(
    runs.flatMap(({ arm, seed, figures }) =>
      arm === targetArm && figures?.loss != null ? [[seed, figures.loss] as const] : [],
    ),
  );
}
