import { join } from 'node:path';
import { writeAtomically } from '../atomic-file.ts';
import { readPageAssets } from '../report/page.ts';
import { writeFigures } from './figure-files.ts';
import type { PlannedRun } from './planned-runs.ts';
import {
  type ArmSummary,
  analyseStudy,
  readStudyRuns,
  type StudyAnalysis,
} from './study-analysis.ts';
import type { StudyRecord } from './study-directory.ts';
import { formatStudyMarkdown, formatStudyPage, formatStudyPlot } from './study-page.ts';

/**
 * Writes what there is of a study: `report.html`, and `report.md` with `plot.svg`; as CSV and Arrow `figures` (each
 * measure of each run), `summary` (each measure of each arm) and `curves` (each evaluation).
 */
export async function writeStudyReport(study: {
  readonly directory: string;
  readonly record: StudyRecord;
  readonly runs: readonly PlannedRun[];
}): Promise<StudyAnalysis> {
  const { directory, record } = study;
  const analysis = analyseStudy(record.study, await readStudyRuns(record.study, study.runs));
  const report = { record, analysis };
  const page = formatStudyPage(report, await readPageAssets());
  writeAtomically(join(directory, 'report.html'), page);
  writeAtomically(join(directory, 'report.md'), formatStudyMarkdown(report));
  writeAtomically(join(directory, 'plot.svg'), formatStudyPlot(report));
  writeTables(directory, analysis);
  return analysis;
}

function writeTables(directory: string, { runs, rows, summaries }: StudyAnalysis): void {
  writeFigures(directory, 'figures', {
    arm: rows.map(({ arm }) => arm),
    seed: rows.map(({ seed }) => seed),
    measure: rows.map(({ measure }) => measure),
    value: rows.map(({ value }) => value),
  });
  const end = (of: (summary: ArmSummary) => ArmSummary['estimate'], at: 0 | 1) =>
    summaries.map((summary) => of(summary)?.interval?.[at] ?? null);
  writeFigures(directory, 'summary', {
    arm: summaries.map(({ arm }) => arm),
    measure: summaries.map(({ measure }) => measure),
    count: summaries.map(({ estimate }) => estimate?.count ?? 0),
    mean: summaries.map(({ estimate }) => estimate?.mean ?? null),
    lower: end(({ estimate }) => estimate, 0),
    upper: end(({ estimate }) => estimate, 1),
    against: summaries.map(({ against }) => against?.mean ?? null),
    againstLower: end(({ against }) => against, 0),
    againstUpper: end(({ against }) => against, 1),
    without: summaries.map(({ without }) => without),
  });
  const points = runs.flatMap(({ arm, seed, figures }) =>
    (figures?.curves ?? []).flatMap((curve, replica) =>
      curve.map((point) => ({ arm, seed, replica: replica + 1, ...point })),
    ),
  );
  writeFigures(directory, 'curves', {
    arm: points.map(({ arm }) => arm),
    seed: points.map(({ seed }) => seed),
    replica: points.map(({ replica }) => replica),
    step: points.map(({ step }) => step),
    loss: points.map(({ loss }) => loss),
  });
}
