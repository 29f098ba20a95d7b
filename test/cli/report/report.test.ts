import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { PageAssets } from '../../../cli/report/page.ts';
import { formatReportPage } from '../../../cli/report/report-page.ts';
import { RunCurves } from '../../../cli/run/run-curves.ts';
import type { RunRecord } from '../../../cli/run/run-directory.ts';
import { actorctl, countingJob, makeFolder, onlyRun } from '../actorctl-process.ts';

const record: RunRecord = {
  format: 1,
  job: { name: 'trial <b>', example: 'trial' },
  options: { data: ['</script><script>alert(1)</script>'], steps: 3 },
  seed: 1,
  bus: { kind: 'local' },
  versions: { codistill: '0.0.0' },
  created: '2026-11-24T10:15:00.000Z',
  state: 'finished',
};
const assets: PageAssets = { chartLibrary: '', chartStyle: '', script: '', style: '' };

test('the report of a run has its table, its curves and its options, and no address but a notice', async (t) => {
  await using folder = await makeFolder();
  await actorctl(['run', countingJob], folder.path);
  const page = await readFile(join(await onlyRun(folder.path), 'report.html'), 'utf8');
  t.regex(page, /<th scope="row">replica-1<\/th><td>2\.250<\/td><td>9\.5<\/td>/);
  t.regex(page, /<th scope="row">unigram baseline<\/th><td>7\.500<\/td>/);
  t.regex(page, /<th scope="row">waitAtStep<\/th><td>0<\/td>/);
  t.regex(page, /"name":"replica-0","colour":0,"kind":"line","x":\[1,2,3,4,5\]/);
  t.deepEqual(page.match(/https?:\/\/[^\s"'<]*/g), ['https://github.com/leeoniya/uPlot']);
  t.notRegex(page, /\b(src|href)=|@import|url\(/);
});

test('names and options can not break out of the page', (t) => {
  const curves = new RunCurves();
  for (const step of [1, 2]) {
    curves.add({ type: 'step', replica: '</script><script>alert(2)//', step, loss: 1 });
  }
  const page = formatReportPage({ record, curves, assets });
  t.notRegex(page, /<script>alert/);
  t.regex(page, /trial &lt;b&gt;/);
});

test('a run that has not ended has a report of what there is', (t) => {
  const curves = new RunCurves();
  curves.add({ type: 'step', replica: 0, step: 1, loss: 3 });
  curves.add({ type: 'step', replica: 0, step: 2, loss: 2 });
  const page = formatReportPage({ record: { ...record, state: 'interrupted' }, curves, assets });
  t.regex(page, /has not come to its end/);
  t.deepEqual(chartTitles(page), ['Training loss']);
});

test('the held-out curve has the baseline of the unigram model', (t) => {
  const curves = new RunCurves();
  for (const step of [100, 200]) curves.add({ type: 'evaluation', step, losses: [4, 5] });
  curves.add({ type: 'result', unigramLoss: 7, replicas: [] });
  const page = formatReportPage({ record, curves, assets });
  t.regex(
    page,
    /"name":"unigram baseline","colour":null,"kind":"dashed","x":\[0,200\],"y":\[7,7\]/,
  );
});

function chartTitles(page: string): readonly string[] {
  const [, data = ''] = page.match(/id="chart-data">([^<]*)</) ?? [];
  return (JSON.parse(data) as { title: string }[]).map(({ title }) => title);
}
