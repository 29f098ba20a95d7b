import { escapeHtml } from '../report/page.ts';
import type { Estimate } from './statistics.ts';

/** What is drawn of one arm: its values as dots, their mean, and the interval of the mean as a bar. */
export interface PlotRow {
  readonly label: string;
  readonly values: readonly number[];
  readonly estimate: Estimate | undefined;
}

export interface PlotPanel {
  readonly title: string;
  readonly rows: readonly PlotRow[];
  /** A vertical line: where nothing is different. */
  readonly reference?: number;
  /** One step to the right is a factor, not a sum. */
  readonly logarithmic?: boolean;
}

const rowHeight = 26;
const labelWidthMin = 100;
/** At most, in the font of the plot. */
const characterWidth = 7.5;
const panelWidth = 340;
const panelGap = 60;
const headHeight = 34;
const axisHeight = 30;
const ticksMax = 5;

/** Panels side by side over the same arms, one line for each. An SVG that stands alone, light or dark. */
export function formatIntervalPlot(panels: readonly PlotPanel[]): string {
  const labels = panels[0]?.rows.map(({ label }) => label) ?? [];
  const longest = Math.max(0, ...labels.map(({ length }) => length));
  const labelWidth = Math.max(labelWidthMin, Math.ceil(longest * characterWidth) + 20);
  const plotHeight = labels.length * rowHeight;
  const width = labelWidth + panels.length * (panelWidth + panelGap);
  const height = headHeight + plotHeight + axisHeight;
  const names = labels.map(
    (label, row) =>
      `<text class="name" x="${labelWidth - 12}" y="${yOf(row) + 4}">${escapeHtml(label)}</text>`,
  );
  const drawn = panels.map((panel, index) =>
    formatPanel(panel, labelWidth + index * (panelWidth + panelGap), plotHeight),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" class="intervals" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escapeHtml(panels.map(({ title }) => title).join('; '))}</title>
<style>${style}</style>
<rect class="page" width="100%" height="100%"/>
${[...names, ...drawn].join('\n')}
</svg>
`;
}

const style = `
.intervals { font: 13px system-ui, sans-serif; max-width: 100%; height: auto;
  --page: #ffffff; --ink: #1c1e21; --soft: #62676e; --rule: #e2e4e8; --mark: #1f6feb; }
@media (prefers-color-scheme: dark) { .intervals {
  --page: #16181c; --ink: #e6e8eb; --soft: #9aa1a9; --rule: #2d3137; --mark: #6ea8fe; } }
.intervals .page { fill: var(--page); }
.intervals text { fill: var(--soft); text-anchor: middle; }
.intervals .name { fill: var(--ink); text-anchor: end; }
.intervals .title { fill: var(--ink); font-weight: 600; text-anchor: start; }
.intervals line { stroke: var(--rule); }
.intervals .reference { stroke: var(--soft); stroke-dasharray: 4 3; }
.intervals .bar { stroke: var(--mark); stroke-width: 3; }
.intervals .value { fill: none; stroke: var(--soft); }
.intervals .mean { fill: var(--mark); }
`;

function formatPanel(panel: PlotPanel, left: number, plotHeight: number): string {
  const { title, rows, reference, logarithmic = false } = panel;
  const position = logarithmic ? Math.log : (value: number) => value;
  const shown = rows.flatMap(({ values, estimate }) =>
    estimate === undefined ? values : [...values, estimate.mean, ...(estimate.interval ?? [])],
  );
  const all = [...shown, ...(reference === undefined ? [] : [reference])];
  const drawable = all.filter((value) => Number.isFinite(position(value)));
  if (drawable.length === 0) return '';
  const [low, high] = range(drawable.map(position));
  const xOf = (value: number) =>
    Number((left + ((position(value) - low) / (high - low)) * panelWidth).toFixed(1));
  const bottom = headHeight + plotHeight;
  const ticks = logarithmic ? logarithmicTicks(low, high) : linearTicks(low, high);
  const marks = rows.flatMap(({ values, estimate }, row) => [
    ...values.map((value) => `<circle class="value" cx="${xOf(value)}" cy="${yOf(row)}" r="3"/>`),
    ...(estimate?.interval
      ? [
          `<line class="bar" x1="${xOf(estimate.interval[0])}" x2="${xOf(estimate.interval[1])}" y1="${yOf(row)}" y2="${yOf(row)}"/>`,
        ]
      : []),
    ...(estimate === undefined
      ? []
      : [`<circle class="mean" cx="${xOf(estimate.mean)}" cy="${yOf(row)}" r="5"/>`]),
  ]);
  return [
    `<text class="title" x="${left}" y="18">${escapeHtml(title)}</text>`,
    ...ticks.map(
      (tick) =>
        `<line x1="${xOf(tick)}" x2="${xOf(tick)}" y1="${headHeight}" y2="${bottom}"/>` +
        `<text x="${xOf(tick)}" y="${bottom + 18}">${formatTick(tick)}</text>`,
    ),
    ...(reference === undefined
      ? []
      : [
          `<line class="reference" x1="${xOf(reference)}" x2="${xOf(reference)}" y1="${headHeight - 4}" y2="${bottom}"/>`,
        ]),
    ...marks,
  ].join('\n');
}

function yOf(row: number): number {
  return headHeight + (row + 0.5) * rowHeight;
}

/** With some room on both sides, also around a single value. */
function range(values: readonly number[]): readonly [number, number] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = high > low ? 0.05 * (high - low) : Math.max(Math.abs(high) * 0.05, 1e-6);
  return [low - room, high + room];
}

/** Round numbers between `low` and `high`: multiples of 1, 2 or 5 times a power of ten. */
function linearTicks(low: number, high: number): readonly number[] {
  const power = 10 ** Math.floor(Math.log10((high - low) / ticksMax));
  const step = [1, 2, 5, 10]
    .map((digit) => digit * power)
    .find((at) => (high - low) / at <= ticksMax);
  if (step === undefined) return [];
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, index) => (first + index) * step);
}

/** Of the numbers 1, 2 and 5 times a power of ten as many as there is room for; else the linear ones. */
function logarithmicTicks(low: number, high: number): readonly number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(low / Math.LN10); power <= high / Math.LN10; power++) {
    for (const digit of [1, 2, 5]) {
      const tick = digit * 10 ** power;
      if (Math.log(tick) >= low && Math.log(tick) <= high) ticks.push(tick);
    }
  }
  if (ticks.length < 2) return linearTicks(Math.exp(low), Math.exp(high));
  const every = Math.ceil(ticks.length / (ticksMax + 2));
  return ticks.filter((_, index) => index % every === 0);
}

function formatTick(value: number): string {
  const text = Number(value.toPrecision(6));
  return Math.abs(text) >= 1e6 ? `${text / 1e6} M` : String(text);
}
