import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Texts that are put into a page, so that it stands alone. */
export interface PageAssets {
  readonly chartLibrary: string;
  readonly chartStyle: string;
  readonly script: string;
  readonly style: string;
}

/** What `report-charts.js` draws. */
export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly name: string;
  /** Which colour: lines of one thing share it. `null` is neutral. */
  readonly colour: number | null;
  readonly kind: 'line' | 'raw' | 'dashed';
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** A page of its own: tables and pictures can be read without JavaScript, the curves need it. */
export function formatPage(page: {
  readonly title: string;
  readonly heading: string;
  readonly subtitle: string;
  /** HTML before the charts, and after them. */
  readonly before: string;
  readonly after: string;
  /** Those without a point are left out. */
  readonly charts: readonly Chart[];
  readonly assets: PageAssets;
}): string {
  const { title, heading, subtitle, before, after, assets } = page;
  const charts = page.charts.filter(({ lines }) => lines.some(({ x }) => x.length > 0));
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
<h1>${escapeHtml(heading)}</h1>
<p>${escapeHtml(subtitle)}</p>
</header>
<main>
${before}
<section id="charts" aria-label="Curves"></section>
<noscript><p>The curves need JavaScript; the table above has the result.</p></noscript>
${after}
</main>
<script type="application/json" id="chart-data">${embedJson(charts)}</script>
<script>${assets.chartLibrary}</script>
<script>${assets.script}</script>
</body>
</html>
`;
}

export async function readPageAssets(): Promise<PageAssets> {
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

/** A folded table of names and values. */
export function formatDetails(
  summary: string,
  pairs: readonly (readonly [string, unknown])[],
): string {
  const rows = pairs.map(([key, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return `<tr><th scope="row">${escapeHtml(key)}</th><td>${escapeHtml(text ?? '')}</td></tr>`;
  });
  return (
    `<details><summary>${escapeHtml(summary)}</summary>` +
    `<table><tbody>${rows.join('')}</tbody></table></details>`
  );
}

/** A table whose first column names the rows. */
export function formatFigures(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const head = columns.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('');
  const body = rows.map(([name = '', ...figures]) => {
    const cells = figures.map((figure) => `<td>${escapeHtml(figure)}</td>`).join('');
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells}</tr>`;
  });
  return `<table class="result"><thead><tr>${head}</tr></thead><tbody>
${body.join('\n')}
</tbody></table>`;
}

export function escapeHtml(text: string): string {
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
