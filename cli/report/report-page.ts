import type { Figure } from '../observation/event-shapes.ts';
import { inOrder } from '../output/progress.ts';
import {
  describeResultTotals,
  formatResultRows,
  listResultColumns,
} from '../output/result-table.ts';
import type { RunCurves } from '../run/run-curves.ts';
import type { RunRecord } from '../run/run-directory.ts';
import {
  type Chart,
  escapeHtml,
  formatDetails,
  formatFigures,
  formatPage,
  type Line,
  type PageAssets,
} from './page.ts';
import { type Point, type Series, smooth } from './series.ts';

const smoothingShare = 0.02;

/** The page as text. */
export function formatReportPage(report: {
  readonly record: RunRecord;
  readonly curves: RunCurves;
  readonly assets: PageAssets;
}): string {
  const { record, curves, assets } = report;
  return formatPage({
    title: `${record.job.name}, ${record.created.slice(0, 16).replace('T', ' ')} UTC`,
    heading: record.job.name,
    subtitle: describeRun(record),
    before: formatResultSection(curves),
    after: [
      formatDetails('Options', Object.entries(record.options)),
      formatDetails('Versions', Object.entries(record.versions)),
    ].join('\n'),
    charts: listCharts(curves),
    assets,
  });
}

function listCharts(curves: RunCurves): readonly Chart[] {
  const { heldOut, ensemble, result } = curves;
  const replicas = inOrder(curves.replicas);
  const names = [...replicas.keys()];
  const perRow = `nats per ${curves.unit === 'tokens' ? 'token' : 'example'}`;
  const each = (pick: 'loss' | 'distillLoss' | 'stalenessSteps' | 'speed') =>
    [...replicas].map(([name, replica], colour) => ({ name, colour, curve: replica[pick] }));
  return [
    {
      title: 'Training loss',
      unit: perRow,
      lines: each('loss').flatMap(withRaw),
    },
    {
      title: 'Held-out loss',
      unit: perRow,
      lines: [
        ...heldOut.map((curve, colour) =>
          toLine({ name: names[colour] ?? `replica ${colour}`, colour, curve }),
        ),
        { ...toLine({ name: 'ensemble', colour: heldOut.length, curve: ensemble }) },
        baseline(heldOut, result?.unigramLoss),
      ],
    },
    {
      title: 'Distillation loss',
      unit: `${perRow}, to the teachers`,
      lines: each('distillLoss').flatMap(withRaw),
    },
    {
      title: 'Staleness of the teachers',
      unit: 'steps',
      lines: each('stalenessSteps').map(toLine),
    },
    {
      title: 'Speed',
      unit: `${curves.unit} per second`,
      lines: each('speed').flatMap(withRaw),
    },
  ];
}

interface NamedCurve {
  readonly name: string;
  readonly colour: number;
  readonly curve: Series;
}

function toLine({ name, colour, curve }: NamedCurve): Line {
  return { name, colour, kind: 'line', ...columns(curve.points) };
}

/** The smoothed curve, over the values it was made of. */
function withRaw({ name, colour, curve }: NamedCurve): readonly Line[] {
  const smoothed = smooth(curve.points, smoothingShare);
  return [
    { name, colour, kind: 'raw', ...columns(curve.points) },
    { name, colour, kind: 'line', ...columns(smoothed) },
  ];
}

function baseline(heldOut: readonly Series[], unigramLoss: Figure): Line {
  const steps = heldOut.flatMap(({ points }) => points.map(({ x }) => x));
  const ends = unigramLoss == null || steps.length === 0 ? [] : [0, Math.max(...steps)];
  return {
    name: 'unigram baseline',
    colour: null,
    kind: 'dashed',
    x: ends,
    y: ends.map(() => unigramLoss as number),
  };
}

function columns(points: readonly Point[]): { x: readonly number[]; y: readonly number[] } {
  return { x: points.map(({ x }) => x), y: points.map(({ y }) => Number(y.toPrecision(6))) };
}

function formatResultSection({ result }: RunCurves): string {
  if (result === undefined) return '<section><p>This run has not come to its end.</p></section>';
  const totals = describeResultTotals(result).map((line) => `<p>${escapeHtml(line)}</p>`);
  return `<section><h2>Result</h2>
${formatFigures(listResultColumns(result), formatResultRows(result))}
${totals.join('\n')}</section>`;
}

function describeRun({ created, seed, state, bus }: RunRecord): string {
  const parts = [`started ${created}`, state, `${bus.kind} bus`];
  return [...parts, ...(seed === null ? [] : [`seed ${seed}`])].join(' · ');
}
