import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import test from 'ava';
import { writeFigures } from '../../../cli/study/figure-files.ts';
import { formatIntervalPlot } from '../../../cli/study/interval-plot.ts';
import { estimateMean } from '../../../cli/study/statistics.ts';
import { makeFolder } from '../actorctl-process.ts';

test('figures are the same in CSV and in Arrow, missing ones and odd names too', async (t) => {
  await using folder = await makeFolder();
  const columns = { arm: ['a,b', 'say "c"'], value: [1.5, null] };
  writeFigures(folder.path, 'figures', columns);
  t.is(
    await readFile(join(folder.path, 'figures.csv'), 'utf8'),
    'arm,value\n"a,b",1.5\n"say ""c""",\n',
  );
  const table = tableFromIPC(await readFile(join(folder.path, 'figures.arrow')));
  t.deepEqual(
    [...table].map((row) => row.toJSON()),
    [
      { arm: 'a,b', value: 1.5 },
      { arm: 'say "c"', value: null },
    ],
  );
});

test('a plot has a dot for each value, a bar for each interval and round ticks', (t) => {
  const svg = formatIntervalPlot([
    {
      title: 'loss <of all>',
      reference: 0,
      rows: [
        { label: 'a', values: [1, 2, 3], estimate: estimateMean([1, 2, 3]) },
        { label: 'b', values: [], estimate: undefined },
      ],
    },
  ]);
  t.is(svg.match(/class="value"/g)?.length, 3);
  t.is(svg.match(/class="bar"/g)?.length, 1);
  t.regex(svg, /loss &lt;of all&gt;/);
  // The interval is 2 ± 4.303 · 1/√3.
  t.deepEqual(
    [...svg.matchAll(/>(-?[\d.]+)<\/text>/g)].map(([, tick]) => Number(tick)),
    [0, 2, 4],
  );
});
