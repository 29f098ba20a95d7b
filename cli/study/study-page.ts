import { formatBytes } from '../output/quantity.ts';
import {
  escapeHtml,
  formatDetails,
  formatFigures,
  formatPage,
  type Line,
  type PageAssets,
} from '../report/page.ts';
import { formatIntervalPlot, type PlotPanel } from './interval-plot.ts';
import { type MeasureName, measures } from './measures.ts';
import { describeComparison, formatComparison, formatEstimate, formatValue } from './reading.ts';
import { type CurvePoint, meanOf } from './statistics.ts';
import type { Study, StudyOptions } from './study.ts';
import type { ArmSummary, StudyAnalysis } from './study-analysis.ts';
import type { StudyRecord } from './study-directory.ts';

export interface StudyReport {
  readonly record: StudyRecord;
  readonly analysis: StudyAnalysis;
}

export function formatStudyPage(report: StudyReport, assets: PageAssets): string {
  const { study } = report.record;
  const sections = study.measures.map((measure) => {
    const { title, unit } = measures[measure];
    const { columns, rows } = tableOf(report, measure);
    return `<section><h2>${escapeHtml(title)} <small>${escapeHtml(unit)}</small></h2>
${formatIntervalPlot(panelsOf(report, measure))}
${formatFigures(columns, rows)}</section>`;
  });
  const readings = readingsOf(report).map((text) => `<li>${escapeHtml(text)}</li>`);
  const facts = factsOf(report).map(([name, value]) => `${name}: ${value}`);
  return formatPage({
    title: `Study ${study.name}`,
    heading: study.question,
    subtitle: facts.join(' · '),
    before: `<section><h2>What this shows</h2><ul>${readings.join('\n')}</ul></section>
${sections.join('\n')}`,
    charts: [
      {
        title: 'Held-out loss',
        unit: 'by step; mean of seeds and replicas over each seed',
        lines: curvesOf(report),
      },
    ],
    after: [
      formatDetails('Options of all arms', Object.entries(report.record.study.options)),
      formatDetails(
        'Arms',
        study.arms.map(({ name, options }) => [name, options]),
      ),
    ].join('\n'),
    assets,
  });
}

export function formatStudyMarkdown(report: StudyReport): string {
  const { study, settings } = report.record;
  const tables = study.measures.map((measure) => {
    const { columns, rows } = tableOf(report, measure);
    const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    return [
      `## ${measures[measure].title} (${measures[measure].unit})`,
      '',
      line(columns),
      line(columns.map((_, index) => (index === 0 ? '---' : '---:'))),
      ...rows.map(line),
    ].join('\n');
  });
  return `# ${study.question}

${factsOf(report)
  .map(([name, value]) => `- ${name}: ${value}`)
  .join('\n')}

![Each arm: its runs, their mean and its interval; beside it the paired comparison](plot.svg)

## What this shows

${readingsOf(report)
  .map((text) => `- ${text}`)
  .join('\n')}

${tables.join('\n\n')}

## What was run

- all arms (${study.job}): ${describeOptions({ ...study.options, ...(settings.scale === 'full' && study.full) })}
${study.arms.map(({ name, options }) => `- ${name}: ${describeOptions(options) || 'no more'}`).join('\n')}
`;
}

function describeOptions(options: StudyOptions): string {
  return Object.entries(options)
    .map(([key, value]) => `\`${key}=${String(value)}\``)
    .join(' ');
}

/** The picture of the first measure, and the values of the second beside it. */
export function formatStudyPlot(report: StudyReport): string {
  const [first, second] = report.record.study.measures;
  if (first === undefined) return '';
  const beside = second === undefined ? [] : panelsOf(report, second).slice(0, 1);
  return formatIntervalPlot([...panelsOf(report, first), ...beside]);
}

/** The main measure's table for a terminal. */
export function listMainFigures(report: StudyReport): ReturnType<typeof tableOf> {
  return tableOf(report, report.record.study.measures[0] as MeasureName);
}

/** The comparisons of the main measure in words, and what to bear in mind with them. */
export function readingsOf({ record, analysis }: StudyReport): readonly string[] {
  const { study } = record;
  const [main] = study.measures;
  const own = analysis.summaries.filter(({ measure }) => measure === main);
  const base = own.find(({ arm }) => arm === study.baseline) as ArmSummary;
  const comparisons = own
    .filter((summary) => summary !== base)
    .map((summary) => describeComparison(summary, base));
  const failures = analysis.runs.flatMap(({ arm, seed, failure }) =>
    failure === undefined ? [] : [`${arm}, seed ${seed}, failed: ${failure}`],
  );
  const unfinished = analysis.runs.filter(
    ({ figures, failure }) => figures === undefined && failure === undefined,
  ).length;
  return [
    ...comparisons,
    ...choiceOf(study, analysis),
    ...(analysis.targetLosses.size === 0
      ? []
      : [
          `The target of each seed is the final loss of ${study.targetArm} with that seed, in the mean ` +
            `${meanOf([...analysis.targetLosses.values()]).toFixed(4)}. A run that never reaches it has no steps to it.`,
        ]),
    ...failures,
    ...(unfinished === 0 ? [] : [`${unfinished} of ${analysis.runs.length} runs aren't finished.`]),
    ...study.notes,
    'Intervals are those of Student at 95 %. Seeds differ in the initial weights; other models, sizes and data may answer otherwise.',
  ];
}

function choiceOf({ choice, baseline }: Study, { chosen }: StudyAnalysis): readonly string[] {
  if (choice === undefined) return [];
  const least = measures[choice.least].title.toLowerCase();
  const notAbove = measures[choice.notAbove].title.toLowerCase();
  const rule = `the least ${least} of those whose ${notAbove} isn't above that of ${baseline}`;
  const kept =
    'What was saved of every other held-out row decided; all figures of predictions here are of the other rows.';
  if (chosen === undefined) return [`Chosen: no arm. To be chosen was ${rule}. ${kept}`];
  const { estimate, against } = chosen.least;
  const format = (value: number) => formatValue(choice.least, value);
  const there =
    against === undefined
      ? formatEstimate(estimate, format)
      : formatEstimate(against, (value) => formatComparison(choice.least, value));
  return [`Chosen: ${chosen.arm}, with ${rule} (there ${there}). ${kept}`];
}

function factsOf({ record }: StudyReport): readonly (readonly [string, string])[] {
  const { study, command, settings, machine, created } = record;
  return [
    ['command', command],
    ['seeds', `1 to ${settings.seeds}`],
    ['baseline', study.baseline],
    [
      'machine',
      `${machine.cores} cores of ${machine.cpu}, ${formatBytes(machine.memoryBytes)}, ${machine.node}`,
    ],
    ['begun', created.slice(0, 10)],
  ];
}

function tableOf(
  { record, analysis }: StudyReport,
  measure: MeasureName,
): {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
} {
  const { baseline } = record.study;
  const rows = analysis.summaries
    .filter((summary) => summary.measure === measure)
    .map(({ arm, estimate, against, without }) => [
      arm,
      `${estimate?.count ?? 0}${without === 0 ? '' : ` of ${(estimate?.count ?? 0) + without}`}`,
      formatEstimate(estimate, (value) => formatValue(measure, value)),
      arm === baseline ? '' : formatEstimate(against, (value) => formatComparison(measure, value)),
    ]);
  return { columns: ['arm', 'runs', 'mean [95 %]', `against ${baseline} [95 %]`], rows };
}

function panelsOf({ record, analysis }: StudyReport, measure: MeasureName): readonly PlotPanel[] {
  const { study } = record;
  const { title, comparison } = measures[measure];
  const isRatio = comparison === 'ratio';
  const own = analysis.summaries.filter((summary) => summary.measure === measure);
  return [
    {
      title,
      logarithmic: isRatio,
      rows: own.map(({ arm, estimate }) => ({
        label: arm,
        values: analysis.rows
          .filter((row) => row.arm === arm && row.measure === measure)
          .flatMap(({ value }) => (value === null ? [] : [value])),
        // The interval of a logarithmic axis would have to be another one.
        estimate: isRatio && estimate !== undefined ? { ...estimate, interval: null } : estimate,
      })),
    },
    {
      title: `${isRatio ? 'Times' : 'Difference to'} ${study.baseline}, paired`,
      logarithmic: isRatio,
      reference: isRatio ? 1 : 0,
      rows: own.map(({ arm, against }) => ({ label: arm, values: [], estimate: against })),
    },
  ];
}

const curvePoints = 40;

/** For each arm the mean of its curves over the steps that all have, above that of each seed. */
function curvesOf({ record, analysis }: StudyReport): readonly Line[] {
  return record.study.arms.flatMap(({ name }, colour) => {
    const runs = analysis.runs.filter((run) => run.arm === name);
    const seeds = runs.flatMap(({ figures }) =>
      figures === undefined || figures.curves.length === 0 ? [] : [figures.curves],
    );
    const line = (kind: Line['kind'], curves: readonly (readonly CurvePoint[])[]): Line => {
      const points = meanCurve(curves);
      return {
        name,
        colour,
        kind,
        x: points.map(({ step }) => step),
        y: points.map(({ loss }) => Number(loss.toPrecision(6))),
      };
    };
    return [
      ...seeds.map((curves) => line('raw', curves)),
      ...(seeds.length === 0 ? [] : [line('line', seeds.flat())]),
    ];
  });
}

/** At evenly spaced steps that all curves have. */
function meanCurve(curves: readonly (readonly CurvePoint[])[]): readonly CurvePoint[] {
  const first = Math.max(...curves.map((curve) => curve[0]?.step ?? Number.POSITIVE_INFINITY));
  const last = Math.min(...curves.map((curve) => curve.at(-1)?.step ?? Number.NEGATIVE_INFINITY));
  if (!(first <= last)) return [];
  const count = first === last ? 1 : curvePoints;
  return Array.from({ length: count }, (_, index) => {
    const step = Math.round(first + ((last - first) * index) / Math.max(1, count - 1));
    return { step, loss: meanOf(curves.map((curve) => lossAt(curve, step))) };
  });
}

/** On the straight line between two points. */
function lossAt(curve: readonly CurvePoint[], step: number): number {
  const index = curve.findIndex((point) => point.step >= step);
  const after = curve[index] as CurvePoint;
  const before = curve[index - 1];
  if (before === undefined || after.step === step) return after.loss;
  const share = (step - before.step) / (after.step - before.step);
  return before.loss + share * (after.loss - before.loss);
}
