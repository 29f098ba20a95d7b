import type { Figure } from './event-shapes.ts';
import { inOrder } from './progress.ts';
import {
  describeResultTotals,
  formatResultRow,
  listResultRows,
  resultColumns,
} from './result-table.ts';
import type { RunCurves } from './run-curves.ts';
import type { RunRecord } from './run-directory.ts';
import { type Point, type Series, smooth } from './series.ts';

/** Texts that are put into the page, so that it stands alone. */
export interface ReportAssets {
  readonly chartLibrary: string;
  readonly chartStyle: string;
  readonly script: string;
  readonly style: string;
}

/** What `report-charts.js` draws. */
interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

interface Line {
  readonly name: string;
  /** Which colour: lines of one replica share it. `null` is neutral. */
  readonly colour: number | null;
  readonly kind: 'line' | 'raw' | 'dashed';
  readonly x: readonly number[];
  readonly y: readonly number[];
}

const smoothingShare = 0.02;

/** The page as text; the table can be read without JavaScript, the curves need it. */
export function formatReportPage(report: {
  readonly record: RunRecord;
  readonly curves: RunCurves;
  readonly assets: ReportAssets;
}): string {
  const { record, curves, assets } = report;
  const charts = listCharts(curves).filter(({ lines }) => lines.some(({ x }) => x.length > 0));
  const title = `${record.job.name}, ${record.created.slice(0, 16).replace('T', ' ')} UTC`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${assets.chartStyle}</style>
<style>${assets.style}</style>
</head>
<body>
<header>
<h1>${escapeHtml(record.job.name)}</h1>
<p>${escapeHtml(describeRun(record))}</p>
</header>
<main>
${formatResultSection(curves)}
<section id="charts" aria-label="Curves"></section>
<noscript><p>The curves need JavaScript; the table above has the result.</p></noscript>
<details><summary>Options</summary>${formatPairs(Object.entries(record.options))}</details>
<details><summary>Versions</summary>${formatPairs(Object.entries(record.versions))}</details>
</main>
<script type="application/json" id="chart-data">${embedJson(charts)}</script>
<script>${assets.chartLibrary}</script>
<script>${assets.script}</script>
</body>
</html>
`;
}

function listCharts(curves: RunCurves): readonly Chart[] {
  const { heldOut, ensemble, result } = curves;
  const replicas = inOrder(curves.replicas);
  const names = [...replicas.keys()];
  const each = (pick: 'loss' | 'distillLoss' | 'stalenessSteps' | 'tokensPerSecond') =>
    [...replicas].map(([name, replica], colour) => ({ name, colour, curve: replica[pick] }));
  return [
    {
      title: 'Training loss',
      unit: 'nats per token',
      lines: each('loss').flatMap(withRaw),
    },
    {
      title: 'Held-out loss',
      unit: 'nats per token',
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
      unit: 'nats per token, soft cross-entropy to the teachers',
      lines: each('distillLoss').flatMap(withRaw),
    },
    {
      title: 'Staleness of the teachers',
      unit: 'steps',
      lines: each('stalenessSteps').map(toLine),
    },
    {
      title: 'Speed',
      unit: 'tokens per second',
      lines: each('tokensPerSecond').flatMap(withRaw),
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
  const head = resultColumns.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('');
  const rows = listResultRows(result).map((row) => {
    const [name = '', ...figures] = formatResultRow(row);
    const cells = figures.map((figure) => `<td>${escapeHtml(figure)}</td>`).join('');
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells}</tr>`;
  });
  const totals = describeResultTotals(result).map((line) => `<p>${escapeHtml(line)}</p>`);
  return `<section><h2>Result</h2>
<table class="result"><thead><tr>${head}</tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
${totals.join('\n')}</section>`;
}

function formatPairs(pairs: readonly (readonly [string, unknown])[]): string {
  const rows = pairs.map(([key, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return `<tr><th scope="row">${escapeHtml(key)}</th><td>${escapeHtml(text ?? '')}</td></tr>`;
  });
  return `<table><tbody>${rows.join('')}</tbody></table>`;
}

function describeRun({ created, seed, state, bus }: RunRecord): string {
  const parts = [`started ${created}`, state, `${bus.kind} bus`];
  return [...parts, ...(seed === null ? [] : [`seed ${seed}`])].join(' · ');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** JSON inside of a script element must not be able to end it. */
function embedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
