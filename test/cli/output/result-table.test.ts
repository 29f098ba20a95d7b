import test from 'ava';
import type { ResultEvent } from '../../../cli/observation/event-shapes.ts';
import { describeResultTotals } from '../../../cli/output/result-table.ts';

const result: ResultEvent = {
  type: 'result',
  replicas: [],
  exchange: { count: 3, bytes: 2000, fullBytes: 4000, workersBytes: 0, predictionsBytes: 0 },
  evaluations: { done: 4, skipped: 0 },
};

test('what was exchanged is told, of workers and predictions where there are any', (t) => {
  t.deepEqual(describeResultTotals(result), ['3 exchanges, 2.0 kB (in full 4.0 kB)']);
  const exchange = { ...result.exchange, workersBytes: 5000, predictionsBytes: 6000 };
  t.deepEqual(describeResultTotals({ ...result, exchange }), [
    '3 exchanges, 2.0 kB (in full 4.0 kB); 5.0 kB between workers; 6.0 kB for predictions',
  ]);
});

test('a held-out curve with holes says so', (t) => {
  const lines = describeResultTotals({ ...result, evaluations: { done: 4, skipped: 2 } });
  t.is(lines[1], 'the held-out curve has holes: 2 of 6 evaluations were left out');
});
