import { writeAtomically } from '../atomic-file.ts';
import type { RunCurves } from '../run/run-curves.ts';
import type { RunDirectory } from '../run/run-directory.ts';
import { readPageAssets } from './page.ts';
import { formatReportPage } from './report-page.ts';

/**
 * Writes `report.html` of a run: its result, its curves and its options in one file that needs no network.
 * An unfinished run has a report too, of what there is.
 */
export async function writeReport(run: {
  readonly directory: RunDirectory;
  readonly curves: RunCurves;
}): Promise<void> {
  const { directory, curves } = run;
  const page = formatReportPage({
    record: directory.record,
    curves,
    assets: await readPageAssets(),
  });
  writeAtomically(directory.report, page);
}
