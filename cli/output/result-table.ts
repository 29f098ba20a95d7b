import Table from 'cli-table3';
import { type Figure, type ResultEvent, speedOf } from '../observation/event-shapes.ts';
import { formatBytes, formatCount, formatDuration, formatNumber } from './quantity.ts';

/** A row of the result: a replica, the ensemble, or a baseline. */
interface ResultRow {
  readonly name: string;
  /** Nats per held-out row: token or example. */
  readonly loss: Figure;
  readonly accuracy?: Figure;
  readonly auc?: Figure;
  readonly speed?: Figure;
  readonly stalenessStepsMean?: Figure;
  readonly stalenessStepsMax?: Figure;
}

/** Of texts the perplexity, of examples the accuracy and, where there are two classes, the area under the curve. */
export function listResultColumns(result: ResultEvent): readonly string[] {
  const scores = !ofExamples(result)
    ? ['perplexity']
    : ['accuracy', ...(hasAuc(result) ? ['AUC'] : [])];
  return ['', 'loss', ...scores, ofExamples(result) ? 'examples/s' : 'tokens/s', 'staleness'];
}

/** The cells, in the order of the columns. */
export function formatResultRows(result: ResultEvent): readonly (readonly string[])[] {
  const scoresOf = ({ loss, accuracy, auc }: ResultRow): readonly string[] => {
    if (!ofExamples(result)) return [formatNumber(loss == null ? undefined : Math.exp(loss), 1)];
    return [formatNumber(accuracy), ...(hasAuc(result) ? [formatNumber(auc)] : [])];
  };
  return listResultRows(result).map((row) => {
    const { name, loss, speed, stalenessStepsMean: mean, stalenessStepsMax: max } = row;
    return [
      name,
      formatNumber(loss),
      ...scoresOf(row),
      speed == null ? '' : formatCount(speed),
      mean == null ? '' : `${formatNumber(mean, 1)} (max ${formatCount(max)})`,
    ];
  });
}

/** Replicas first, then their ensemble, then what the frequencies alone would get. */
function listResultRows(result: ResultEvent): readonly ResultRow[] {
  const { ensembleLoss, ensembleAccuracy, ensembleAuc, unigramLoss, bayesLoss } = result;
  const rows: ResultRow[] = result.replicas.map((replica) => ({
    ...replica,
    name: String(replica.name),
    loss: replica.valLoss,
    speed: speedOf(replica)?.perSecond,
  }));
  if (ensembleLoss != null) {
    const scores = { accuracy: ensembleAccuracy, auc: ensembleAuc };
    rows.push({ name: 'ensemble', loss: ensembleLoss, ...scores });
  }
  if (bayesLoss != null) rows.push({ name: 'best possible', loss: bayesLoss });
  if (unigramLoss != null) rows.push({ name: 'unigram baseline', loss: unigramLoss });
  return rows;
}

function ofExamples({ replicas }: ResultEvent): boolean {
  return replicas.some(({ examplesPerSecond }) => examplesPerSecond != null);
}

function hasAuc({ replicas }: ResultEvent): boolean {
  return replicas.some(({ auc }) => auc != null);
}

/** What stands below the table: steps, time, exchange and waits. */
export function describeResultTotals(result: ResultEvent): readonly string[] {
  const { steps, tokens, examples, wallMs, firstStepMs, exchange, waits } = result;
  const lines: string[] = [];
  const rows =
    examples == null ? `${formatCount(tokens)} tokens` : `${formatCount(examples)} examples`;
  if (steps != null) {
    lines.push(
      `${formatCount(steps)} steps, ${rows} in ${formatDuration(wallMs)}` +
        (firstStepMs == null ? '' : `; first step after ${formatNumber(firstStepMs / 1000, 1)} s`),
    );
  }
  if (exchange !== undefined) {
    const full = exchange.fullBytes == null ? '' : ` (in full ${formatBytes(exchange.fullBytes)})`;
    const { workersBytes, predictionsBytes } = exchange;
    const more = [
      ...(workersBytes ? [`${formatBytes(workersBytes)} between workers`] : []),
      ...(predictionsBytes ? [`${formatBytes(predictionsBytes)} for predictions`] : []),
    ];
    const weights = `${formatCount(exchange.count)} exchanges, ${formatBytes(exchange.bytes)}${full}`;
    lines.push([weights, ...more].join('; '));
  }
  const { done = 0, skipped = 0 } = result.evaluations ?? {};
  if (skipped) {
    lines.push(
      `the held-out curve has holes: ${formatCount(skipped)} of ${formatCount((done ?? 0) + skipped)} evaluations ` +
        'were left out',
    );
  }
  if (waits !== undefined) {
    const { dataMs = 0, exchangeMs = 0, computeMs = 0 } = waits;
    const wholeMs = (dataMs ?? 0) + (exchangeMs ?? 0) + (computeMs ?? 0);
    const share = (ms: Figure) => `${formatNumber((100 * (ms ?? 0)) / Math.max(1, wholeMs), 2)} %`;
    lines.push(`replicas waited for data ${share(dataMs)}, for exchanges ${share(exchangeMs)}`);
  }
  return lines;
}

/** The table and the totals as text. */
export function formatResult(result: ResultEvent): string {
  const head = [...listResultColumns(result)];
  const table = new Table({
    head,
    colAligns: head.map((_, index) => (index === 0 ? 'left' : 'right')),
    style: { head: [], border: [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  });
  table.push(...formatResultRows(result).map((row) => [...row]));
  return [table.toString(), ...describeResultTotals(result)].join('\n');
}
