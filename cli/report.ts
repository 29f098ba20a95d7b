import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { writeAtomically } from './atomic-file.ts';
import { formatReportPage, type ReportAssets } from './report-page.ts';
import type { RunCurves } from './run-curves.ts';
import type { RunDirectory } from './run-directory.ts';

/**
 * Writes `report.html` of a run: its result, its curves and its options in one file that needs no network.
 * An unfinished run has a report too, of what there is.
 */
export async function writeReport(run: {
  readonly directory: RunDirectory;
  readonly curves: RunCurves;
}): Promise<void> {
  const { directory, curves } = run;
  const page = formatReportPage({ record: directory.record, curves, assets: await readAssets() });
  writeAtomically(directory.report, page);
}

async function readAssets(): Promise<ReportAssets> {
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot'));
  const own = (name: string) => readFile(new URL(name, import.meta.url), 'utf8');
  const [chartLibrary, chartStyle, script, style] = await Promise.all([
    readFile(join(uplot, 'uPlot.iife.min.js'), 'utf8'),
    readFile(join(uplot, 'uPlot.min.css'), 'utf8'),
    own('report-charts.js'),
    own('report.css'),
  ]);
  return { chartLibrary, chartStyle, script, style };
}
