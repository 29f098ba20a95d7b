import type { PlannedRun } from './planned-runs.ts';
import { analyseStudy, readStudyRuns } from './study-analysis.ts';
import type { StudyRecord } from './study-directory.ts';

export async function writeStudyReport(study: {
  readonly directory: string;
  readonly record: StudyRecord;
  readonly runs: readonly PlannedRun[];
}): Promise<{ readonly text: string; readonly failedRuns: number; readonly figures: object }> {
  const { record } = study;
  const runs = await readStudyRuns(study.runs);
  const analysis = analyseStudy(record.study, runs);
  return {
    text: JSON.stringify(analysis.summaries, undefined, 1),
    failedRuns: runs.filter(({ failure }) => failure !== undefined).length,
    figures: { summaries: analysis.summaries },
  };
}
